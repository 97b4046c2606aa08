//! How a memory or a resolver asks the service: by the same way as rows go, and ahead of them.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{
    asked::Asked,
    job::{Job, Question, Task},
    shared::Shared,
    transport::RequestKind,
};

/// Asks the service, under the same rate, retries and rules as rows are sent.
#[derive(Debug, Clone)]
pub struct Asker(pub(crate) Arc<Shared>);

impl Asker {
    /// Asks once, and again where that may help. None where the run stopped before there was an answer that counts.
    pub async fn ask(&self, kind: RequestKind, path: &'static str, body: Vec<u8>) -> Option<Asked> {
        let (asked_by, answer) = oneshot::channel();
        let question = Question { kind, path, body, asked_by };
        self.0.with(|scheduler, _, effects| scheduler.again(Job::new(Task::Question(question)), None, effects));
        answer.await.ok()
    }
}
