//! The benchmarks' own server: takes every contact alike after a set time, and knows when each arrived; answers who asks
//! for users.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use model::wire;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::{
    process::{say, unix_ns},
    users,
};

/// Options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Milliseconds until an answer
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
}

/// What arrived of contacts since the figures were last taken.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Arrivals {
    pub(crate) count: u64,
    /// Most in any second.
    pub(crate) peak: u64,
    /// When the first and the last came, in nanoseconds since 1970-01-01T00:00:00Z.
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
}

impl Arrivals {
    fn of(times: &[u64]) -> Self {
        let mut begin = 0;
        let mut peak = 0;
        for (at, time) in times.iter().enumerate() {
            while time - times[begin] >= 1_000_000_000 {
                begin += 1;
            }
            peak = peak.max(at - begin + 1);
        }
        let end = |time: Option<&u64>| time.copied().unwrap_or_default();
        Self { count: times.len() as u64, peak: peak as u64, first_ns: end(times.first()), last_ns: end(times.last()) }
    }
}

struct Served {
    latency: Duration,
    /// The clock by which arrivals are ordered, and the time of day at which it stood at 0.
    clock: (Instant, u64),
    times: Mutex<Vec<u64>>,
}

/// `serve`: prints its URL, and serves until it is killed.
pub(crate) fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let served = Arc::new(Served {
        latency: Duration::from_millis(args.latency_ms),
        clock: (Instant::now(), unix_ns()),
        times: Mutex::new(Vec::with_capacity(1 << 20)),
    });
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        say(&format!("http://{}", listener.local_addr()?))?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let served = Arc::clone(&served);
            tokio::spawn(async move {
                let service = service_fn(|request| served.answer(request));
                // Clients leave as they like.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// Makes an answer from what was asked.
type Answer = fn(&[u8]) -> Vec<u8>;

impl Served {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.method() == Method::GET {
            let times = std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner));
            let text = serde_json::to_vec(&Arrivals::of(&times)).unwrap_or_default();
            return Ok(Response::new(Full::new(text.into())));
        }
        let answer: Option<Answer> = match request.uri().path().trim_start_matches('/') {
            wire::PROFILE_PATH => Some(users::profiles),
            wire::REGISTER_PATH => Some(users::registered),
            _ => None,
        };
        if answer.is_none() {
            let now = self.clock.1 + self.clock.0.elapsed().as_nanos() as u64;
            self.times.lock().unwrap_or_else(PoisonError::into_inner).push(now);
        }
        // A body that breaks off breaks the connection, which hyper sees by itself.
        let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let plain = || Bytes::from_static(br#"{"code":0,"message":"success"}"#);
        let mut response = Response::new(Full::new(answer.map_or_else(plain, |answer| answer(&body).into())));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_of_any_second() {
        let times: Vec<u64> = [0.0, 0.9, 1.0, 1.1, 1.899, 3.0].map(|second: f64| (second * 1e9) as u64).to_vec();
        let arrivals = Arrivals::of(&times);
        assert_eq!((arrivals.count, arrivals.peak, arrivals.first_ns, arrivals.last_ns), (6, 4, 0, 3_000_000_000));
        assert_eq!(Arrivals::of(&[]).count, 0);
    }
}
