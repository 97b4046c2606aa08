use std::{io, path::Path, sync::Arc};

use model::Counters;
use reader::Input;
use tokio::runtime::Builder;
use validator::Validator;

use super::{Superseded, Superseding};
use crate::{
    exit::Exit,
    failure::Failure,
    reading::{Read, Reading},
    settings::InputSettings,
};

/// Reads all rows and takes note of what they set. Of rows that validation refuses nothing is set; what is to be said of them,
/// and of the inputs, is said by who reads them again. A signal meanwhile ends the program at once. An input that can't be
/// read to its end is exit 5: of the rows before, nobody would know whether later ones replace them.
pub(crate) fn first_pass(
    inputs: Vec<Input>,
    settings: &InputSettings,
    folder: &Path,
    counters: Arc<Counters>,
) -> Result<Superseded, Failure> {
    let cannot_start = |error: io::Error| Failure::new(Exit::ReadOrWrite, format!("reading can't be started: {error}"));
    let no_key = |error| Failure::new(Exit::ReadOrWrite, format!("the system gives no random numbers: {error}"));
    let mut superseding = Superseding::new(folder).map_err(no_key)?;
    let mut validator = Validator::new(settings.rules.clone());
    let reading = Reading::start(inputs, settings.rows.last(), Arc::clone(&counters)).map_err(cannot_start)?;
    let runtime = Builder::new_current_thread().build().map_err(cannot_start)?;
    while let Some(read) = runtime.block_on(reading.next()) {
        match read {
            Read::Batch { batch, rows_before } => {
                let mut rows = 0;
                for record in batch.iter() {
                    let number = rows_before + record.row();
                    if !settings.rows.takes(number) {
                        Counters::add(&counters.rows_skipped, u64::from(settings.rows.skips(number)));
                        continue;
                    }
                    rows += 1;
                    if let Ok(accepted) = validator.validate(&record) {
                        let names = accepted.contacts(&record).map(|(name, _)| name);
                        superseding.see(accepted.euid().get(), number, names)?;
                    }
                }
                Counters::add(&counters.rows_read, rows);
                reading.give_back(batch);
            }
            Read::Notice(_) => {}
            Read::Failed(error) => return Err(error.into()),
        }
    }
    Ok(superseding.end()?)
}
