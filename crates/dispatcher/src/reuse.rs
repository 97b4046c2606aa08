//! Tells whether a connection had answered before: a kept one that dies before any byte of an answer was most likely closed
//! by the server when idle, and that says nothing of the request. Which connection the pool took only the answer or the
//! error knows: a kept one may come free while another is being opened.

use std::{
    collections::HashSet,
    error::Error,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use hyper::http::Extensions;
use hyper_util::client::legacy::{self, connect::HttpInfo};

/// So many are known at most: those of a server that closes each after its answer are soon forgotten.
const MOST: usize = 4_096;

/// The connections of a pool that have answered, by their local addresses.
#[derive(Debug, Default)]
pub(crate) struct KnownConnections(Mutex<HashSet<SocketAddr>>);

impl KnownConnections {
    /// Takes note of an answer's connection.
    pub(crate) fn note(&self, answer: &Extensions) {
        let Some(info) = answer.get::<HttpInfo>() else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains(&info.local_addr()) {
            known.clear();
        }
        known.insert(info.local_addr());
    }

    /// Whether the connection that broke had answered before. It won't again, and its address will be another's.
    pub(crate) fn forget(&self, error: &reqwest::Error) -> bool {
        let connection = connection_of(error);
        connection.is_some_and(|at| self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&at))
    }
}

/// The connection that an error is about; none where there was none yet.
fn connection_of(error: &reqwest::Error) -> Option<SocketAddr> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<legacy::Error>() {
            let mut extras = Extensions::new();
            error.connect_info()?.get_extras(&mut extras);
            return extras.get::<HttpInfo>().map(HttpInfo::local_addr);
        }
        next = cause.source();
    }
    None
}
