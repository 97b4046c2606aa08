//! Opens the inputs of a push or a check, in the order in which as little as possible is waited for in vain.

use std::path::{Path, PathBuf};

use model::escape_controls;
use reader::{AskedNames, Input, LookedAt, OpenInput};
use report::folder_of;
use validator::EmptyValues;

use crate::{
    exit::Exit,
    failure::Failure,
    settings::{Identity, InputSettings, ReadFile, refuse_shared_outputs},
    spool::spool,
    terminal::Printer,
};

/// So many inputs are open at once; of more, each is opened again when it is read.
const MOST_OPEN: usize = 256;

/// Refuses outputs that are inputs, or would lie where one is missing: before anything is written.
pub(crate) fn refuse_overwriting(settings: &InputSettings, outputs: &[(&str, PathBuf)]) -> Result<(), Failure> {
    let inputs = settings.names.iter().map(|name| ("input", name));
    let lists = settings.files_from.iter().map(|name| ("list of inputs", name));
    let files = inputs.chain(lists).map(|(what, name)| ReadFile {
        what,
        name: name.source().to_string(),
        identity: Identity::of_input(name),
    });
    refuse_shared_outputs(&files.collect::<Vec<_>>(), outputs)
}

/// Opens all inputs, copies those that can be read only once where that is asked for, and looks at their beginnings. What
/// can be found wrong with their names is found before any of them is waited for.
pub(crate) fn open_inputs(
    settings: &InputSettings,
    report: Option<&Path>,
    printer: &Printer,
) -> Result<LookedAt, Failure> {
    reader::identify(&settings.names)?;
    let mut opened = Vec::with_capacity(settings.names.len());
    for name in &settings.names {
        let mut input = OpenInput::open(name)?;
        if let (Some(option), true, false) = (settings.read_twice_for, input.is_once(), settings.spool) {
            return Err(read_only_once(name.source(), option));
        }
        // Before the next one is opened: who writes both pipes may write one after the other.
        if settings.spool && input.is_once() {
            let folder = folder_for_copies(settings, report);
            let shown = escape_controls(name.source()).into_owned();
            input = input.replace_by_copy(|file| spool(&shown, file, &folder))?;
            tracing::info!("{shown}: copied into {}", folder.display());
        } else if settings.names.len() > MOST_OPEN {
            input.let_go();
        }
        opened.push(input);
    }
    let looked_at = reader::look_at_all(opened, &settings.reader)?;
    if settings.rules.empty == EmptyValues::Clear
        && let Some(sheet) = looked_at.inputs.iter().find(|input| input.is_sheet())
    {
        return Err(clears_by_a_sheet(sheet.name()));
    }
    for warning in &looked_at.warnings {
        printer.warning(warning, None);
    }
    Ok(looked_at)
}

fn read_only_once(input: &str, option: &str) -> Failure {
    let message =
        format!("{input} can be read only once, and `{option}` looks at the whole input before anything is sent");
    let otherwise = if option == "--max-clears" { "say `--max-clears none`" } else { "leave the option out" };
    let hint = format!("say `--spool`, which copies it into a private file first, or {otherwise}");
    Failure::usage(message).with_hint(hint)
}

/// The same inputs once more, each from its beginning; they were opened so that they can be read twice.
pub(crate) fn again(inputs: &[Input]) -> Result<Vec<Input>, Failure> {
    let unread = |input: &Input| Failure::new(Exit::Bug, format!("{} can't be read twice", input.name()));
    let again = |input: &Input| match input.again() {
        None => Err(unread(input)),
        Some(again) => again.map_err(|error| {
            Failure::new(Exit::ReadOrWrite, format!("{} can't be read once more: {error}", input.name()))
        }),
    };
    inputs.iter().map(again).collect()
}

/// What a row of a sheet never had must not be cleared.
fn clears_by_a_sheet(input: &str) -> Failure {
    let message = format!(
        "{input} is a sheet of `report --csv`, in which a cell is empty also where the row never had that contact: \
         `--empty clear` would clear it"
    );
    let hint =
        "leave out `--empty clear` for the sheet; rows that clear contacts are sent again from the report: `replay`";
    Failure::usage(message).with_hint(hint.to_owned())
}

/// Where files lie that are gone with the program.
pub(crate) fn folder_for_copies(settings: &InputSettings, report: Option<&Path>) -> PathBuf {
    settings.temp_dir.clone().unwrap_or_else(|| default_folder(report))
}

/// The report's folder; the current one where no report is written into a folder.
pub(crate) fn default_folder(report: Option<&Path>) -> PathBuf {
    let is_special = |path: &&Path| path.metadata().is_ok_and(|metadata| !metadata.is_file());
    report
        .filter(|path| *path != Path::new("-") && !is_special(path))
        .map_or_else(|| ".".into(), |path| folder_of(path).to_owned())
}

/// Names that the user gave and that no input has shown, where there was anything to see: lines for the summary.
pub(crate) fn never_seen(asked: &AskedNames, rows_read: u64) -> Vec<String> {
    let unseen = if rows_read > 0 { asked.unseen() } else { Vec::new() };
    unseen.into_iter().map(|name| format!("the name {name}, never showed up in the input")).collect()
}
