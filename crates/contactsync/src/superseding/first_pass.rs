use std::{io, path::Path, sync::Arc};

use model::{Counters, Euid};
use reader::Input;
use state::StateError;
use tokio::runtime::Builder;
use validator::{Key, Validator};

use super::{Superseded, Superseding};
use crate::{
    exit::Exit,
    failure::Failure,
    reading::{Read, Reading},
    settings::{InputSettings, LeftOut},
};

/// What the first pass found.
#[derive(Debug)]
pub(crate) struct FirstPass {
    /// Which contacts later rows set.
    pub(crate) superseded: Superseded,
    /// What tells this input from another; none where only a part of it was to be read.
    pub(crate) whole: Option<String>,
}

/// Says who has an id, where that is known.
pub(crate) type UserOf<'a> = dyn FnMut(&str) -> Result<Option<Euid>, StateError> + 'a;

/// Reads all rows and takes note of what they set. Of rows that validation refuses nothing is set; what is to be said of them,
/// and of the inputs, is said by who reads them again. A signal meanwhile ends the program at once. An input that can't be
/// read to its end is exit 5: of the rows before, nobody would know whether later ones replace them.
pub(crate) fn first_pass(
    inputs: Vec<Input>,
    settings: &InputSettings,
    user: &mut UserOf<'_>,
    folder: &Path,
    counters: &Arc<Counters>,
) -> Result<FirstPass, Failure> {
    let cannot_start = |error: io::Error| Failure::new(Exit::ReadOrWrite, format!("reading can't be started: {error}"));
    let unread = |error: StateError| Failure::usage(format!("{error}; nothing was checked"));
    let no_key = |error| Failure::new(Exit::ReadOrWrite, format!("the system gives no random numbers: {error}"));
    let mut superseding = Superseding::new(folder).map_err(no_key)?;
    let mut validator = Validator::new(settings.rules.clone());
    let reading = Reading::start(inputs, settings.rows.last(), Arc::clone(counters)).map_err(cannot_start)?;
    let runtime = Builder::new_current_thread().build().map_err(cannot_start)?;
    while let Some(read) = runtime.block_on(reading.next()) {
        match read {
            Read::Batch { batch, rows_before } => {
                let (mut rows, mut left_out) = (0, LeftOut::default());
                for record in batch.iter() {
                    let number = rows_before + record.row();
                    if !settings.rows.takes(number, &record, &mut left_out) {
                        continue;
                    }
                    rows += 1;
                    if let Ok(accepted) = validator.validate(&record) {
                        let names = accepted.contacts(&record).map(|(name, _)| name);
                        let user = match accepted.key(&record) {
                            Key::Euid(euid) => euid.get(),
                            Key::Id(id) => match user(id).map_err(unread)? {
                                Some(euid) => euid.get(),
                                None => superseding.number_of(id),
                            },
                        };
                        superseding.see(user, number, names)?;
                    }
                }
                left_out.add_to(counters);
                Counters::add(&counters.rows_read, rows);
                reading.give_back(batch);
            }
            Read::Notice(_) => {}
            Read::Failed(error) => return Err(error.into()),
        }
    }
    let whole = (settings.rows.limit().is_none()).then(|| {
        let (mut bytes, mut hasher) = (0, blake3::Hasher::new());
        for position in reading.positions().iter() {
            bytes += position.bytes;
            hasher.update(&position.bytes.to_le_bytes());
            hasher.update(&position.blake3.unwrap_or_default());
        }
        format!("{bytes} bytes, {}", &hasher.finalize().to_hex()[..16])
    });
    Ok(FirstPass { superseded: superseding.end()?, whole })
}
