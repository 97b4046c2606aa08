use std::sync::{Arc, atomic::Ordering::SeqCst};

use dispatcher::{Asked, Asker, Ended, RequestKind, StopCause};
use model::{Euid, Reason, ReasonClass, registered, wire};
use state::IdUser;

use super::{Ids, gathering::Wanted};

/// The API says so of the name of the identity: no batch would ever be accepted.
const IDENTITY_NAME_INVALID: i64 = 55106;

/// So many ids in a row, answered by an HTTP status alone, mean that it isn't the API.
const BARE_STATUSES: usize = 100;

/// An id's user, or why there is none.
pub(super) type Answer = Result<Euid, Arc<Refusal>>;
/// Answers by id.
pub(super) type Answered = Vec<(Wanted, Answer)>;

/// Why an id has no EUID.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) answered: model::Answered,
    pub(super) attempts: u32,
    pub(super) latency_ms: Option<u64>,
    /// Whether it is so for the run: the API has spoken of this id.
    is_final: bool,
}

impl Refusal {
    /// The API gave no user for an id, or refused it with this code, earlier in this run.
    pub(super) fn said_before(code: Option<i64>) -> Self {
        let documented = code.map(|code| model::ApiCode::documented(code).and_then(|code| code.reason));
        let reason = documented.map_or(Reason::IdUnknown, |reason| reason.unwrap_or(Reason::ApiOther));
        let message = "the id was asked for earlier in this run, and not again".to_owned();
        let answered = model::Answered { code: code.or(Some(0)), message: Some(message), http_status: None };
        Self { reason, answered, attempts: 0, latency_ms: None, is_final: true }
    }

    /// With which code it was refused, if by one.
    fn code(&self) -> Option<i64> {
        self.answered.code.filter(|code| *code != 0)
    }

    fn of(reason: Reason, asked: &Asked, is_final: bool) -> Arc<Self> {
        let Asked { answered, attempts, latency_ms, .. } = asked;
        let mut answered = answered.clone();
        if reason != Reason::IdUnknown {
            // The same reasons are told of contacts.
            let said = answered.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
            answered.message = Some(format!("the EUID of the id was asked for{said}"));
        }
        Arc::new(Self { reason, answered, attempts: *attempts, latency_ms: *latency_ms, is_final })
    }
}

/// Asks for a batch, puts what is learnt into the state, and tells whoever waits.
pub(super) async fn ask(ids: Arc<Ids>, batch: Vec<Wanted>, asker: Asker) {
    let answers = match ask_in_parts(&ids, &batch, &asker).await {
        Ok(Some(answers)) => answers,
        Ok(None) => return ids.gathering.given_up(&batch, None),
        Err(cause) => return ids.gathering.given_up(&batch, Some(&cause)),
    };
    match learn(&ids, &answers).await {
        Ok(()) => ids.gathering.answered(answers),
        Err(cause) => ids.gathering.given_up(&batch, Some(&cause)),
    }
}

/// Asks until every id has an answer. None: the run has stopped.
async fn ask_in_parts(ids: &Ids, batch: &[Wanted], asker: &Asker) -> Result<Option<Answered>, StopCause> {
    let mut answers = Vec::with_capacity(batch.len());
    let mut to_ask = vec![batch];
    while let Some(part) = to_ask.pop() {
        let Some(response) = asker.ask(RequestKind::Register, wire::REGISTER_PATH, body(ids, part)).await else {
            return Ok(None);
        };
        if response.answered.code == Some(IDENTITY_NAME_INVALID) {
            return Err(identity_name_refused(ids));
        }
        let (count, code, attempts) = (part.len(), response.answered.code, response.attempts);
        match response.ended {
            Ended::Accepted(_) => {
                ids.bare_statuses.store(0, SeqCst);
                let registered =
                    registered::read(&response.body).map_err(|unknown| unknown_shape(&unknown.to_string()))?;
                let found = part.iter().filter(|wanted| registered.get(&wanted.id).is_some()).count();
                tracing::debug!(count, found, attempts, "asked for EUIDs");
                let unknown = Refusal::of(Reason::IdUnknown, &response, true);
                answers.extend(part.iter().map(|wanted| {
                    let answer = registered.get(&wanted.id).ok_or_else(|| Arc::clone(&unknown));
                    (wanted.clone(), answer)
                }));
            }
            Ended::Failed(reason) if is_of_a_value(reason) && part.len() > 1 => {
                tracing::debug!(
                    count,
                    code,
                    attempts,
                    "asked for EUIDs: refused for one of the ids, asked in two parts"
                );
                let (first, second) = part.split_at(part.len() / 2);
                to_ask.extend([second, first]);
            }
            Ended::Failed(reason) => {
                tracing::debug!(count, code, attempts, reason = reason.as_str(), "asked for EUIDs: given up");
                if reason == Reason::HttpStatus {
                    ids.note_bare_status(part.len())?;
                }
                let refusal = Refusal::of(reason, &response, is_of_a_value(reason));
                answers.extend(part.iter().map(|wanted| (wanted.clone(), Err(Arc::clone(&refusal)))));
            }
        }
    }
    Ok(Some(answers))
}

impl Ids {
    /// So many ids fail by an HTTP status without a code of the API. Like rows, a hundred in a row are a wrong path.
    fn note_bare_status(&self, count: usize) -> Result<(), StopCause> {
        let in_a_row = self.bare_statuses.fetch_add(count, SeqCst) + count;
        if in_a_row < BARE_STATUSES {
            return Ok(());
        }
        Err(StopCause::Outage {
            what: format!("the answers for {in_a_row} ids in a row bore an HTTP status and no code of the API"),
            advice: None,
        })
    }
}

/// Whether the API refuses a batch for what is in it, and not for what time may cure.
fn is_of_a_value(reason: Reason) -> bool {
    !reason.curable() && reason.class() != ReasonClass::Transport
}

fn body(ids: &Ids, part: &[Wanted]) -> Vec<u8> {
    let register = wire::Register {
        identity_name: ids.kind.as_str().to_owned(),
        identity_values: part.iter().map(|wanted| wanted.id.to_string()).collect(),
    };
    // Texts can always be written.
    serde_json::to_vec(&register).unwrap_or_default()
}

/// Keeps what the API said. The users of those that were asked for again are learnt once their rows are told.
async fn learn(ids: &Arc<Ids>, answers: &Answered) -> Result<(), StopCause> {
    let unwritten = |error: state::StateError| StopCause::Report(error.to_string());
    let learnt = answers.iter().filter_map(|(wanted, answer)| match answer {
        Ok(_) if wanted.again => None,
        Ok(euid) => Some((&*wanted.id, IdUser::Known(*euid))),
        Err(refusal) if refusal.is_final => Some((&*wanted.id, IdUser::Nobody(refusal.code()))),
        Err(_) => None,
    });
    ids.learn(learnt).map_err(unwritten)?;
    if !ids.state.has_many_changes() {
        return Ok(());
    }
    let state = Arc::clone(&ids.state);
    let committed = tokio::task::spawn_blocking(move || state.commit()).await;
    committed.map_err(|_| StopCause::Bug("what commits the state broke off".to_owned()))?.map_err(unwritten)
}

fn unknown_shape(what: &str) -> StopCause {
    StopCause::Outage {
        what: format!(
            "what the service answers to ids has a shape that isn't known ({what}): nothing is concluded from it"
        ),
        advice: Some("check `--base-url`: another service may answer in the API's place".to_owned()),
    }
}

fn identity_name_refused(ids: &Ids) -> StopCause {
    StopCause::Outage {
        what: format!("the API doesn't know the identity name {} (code {IDENTITY_NAME_INVALID})", ids.kind),
        advice: Some("check `--identify-by` against the identities of the project".to_owned()),
    }
}
