use model::{
    ValueRef, excerpt,
    limits::{MAX_QUOTED_CHARS, MAX_VALUE_CHARS},
};

use crate::id::IdRules;

/// What is let through, and how values are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Longest value, in Unicode scalar values.
    pub max_value_chars: usize,
    /// What becomes of empty values.
    pub empty: EmptyValues,
    /// Blanks around values are taken off.
    pub trim: bool,
    /// Texts that count as empty, as a value or as an id.
    pub nulls: Vec<String>,
    /// In columns, a null was told from the text `\N` by the reader.
    pub are_nulls_told: bool,
    /// How ids are looked at, where rows are keyed by the organisation's own; else by EUIDs.
    pub ids: Option<IdRules>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_value_chars: MAX_VALUE_CHARS,
            empty: EmptyValues::Skip,
            trim: false,
            nulls: Vec::new(),
            are_nulls_told: false,
            ids: None,
        }
    }
}

/// What becomes of empty and blank values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyValues {
    /// They are left out of the request.
    Skip,
    /// They reject their row.
    Reject,
    /// They are sent as `""`, which clears the contact. A field that is missing is left out.
    Clear,
}

impl Rules {
    /// A value that is in order as it would be sent.
    pub(crate) fn sent<'a>(&self, value: ValueRef<'a>) -> &'a str {
        if self.empty == EmptyValues::Clear {
            return self.text(value).unwrap_or_default();
        }
        match value {
            ValueRef::Missing | ValueRef::Null => "",
            ValueRef::Text(text) | ValueRef::Integer(text) | ValueRef::Other(_, text) if self.trim => text.trim(),
            ValueRef::Text(text) | ValueRef::Integer(text) | ValueRef::Other(_, text) => text,
        }
    }

    /// Whether a value clears its contact: it stands there, and is empty.
    pub(crate) fn clears(&self, value: ValueRef<'_>) -> bool {
        self.empty == EmptyValues::Clear && value != ValueRef::Missing && self.text(value).is_none()
    }

    /// A value as it would be sent; none where it is empty. `Other` JSON is not text and is the caller's to refuse.
    pub(crate) fn text<'a>(&self, value: ValueRef<'a>) -> Option<&'a str> {
        let text = match value {
            ValueRef::Missing | ValueRef::Null => return None,
            ValueRef::Text(text) | ValueRef::Integer(text) | ValueRef::Other(_, text) => text,
        };
        let trimmed = text.trim();
        let is_null = self.nulls.iter().any(|null| null == text || null == trimmed);
        if trimmed.is_empty() || is_null {
            return None;
        }
        Some(if self.trim { trimmed } else { text })
    }
}

/// How messages call a contact's column.
pub(crate) fn describe(name: &str, column: Option<&model::Column>) -> String {
    let shown = excerpt(name, MAX_QUOTED_CHARS);
    match column {
        Some(model::Column { header, number: Some(number), .. }) if **header == *name => {
            format!("column {shown} (column {number})")
        }
        Some(model::Column { header, number: Some(number), .. }) => {
            format!("column {} (column {number}, sent as {shown})", excerpt(header, MAX_QUOTED_CHARS))
        }
        _ => format!("contact {shown}"),
    }
}
