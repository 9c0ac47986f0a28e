//! Health and metrics of `tagcache relay`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use tower_tagcache::RelayStatus;

/// Connections at a time.
const PLACES: usize = 64;
/// How long a connection may last, and one head take.
const LIFETIME: Duration = Duration::from_secs(60);
const HEAD: Duration = Duration::from_secs(10);
/// After an accept that failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers who asks how the relay gets on.
pub(super) struct RelayListener<W> {
    listener: TcpListener,
    address: SocketAddr,
    office: Arc<RelayOffice<W>>,
}

struct RelayOffice<W> {
    watch: W,
    max_lag: Duration,
    metrics: PrometheusHandle,
}

impl<W: Fn() -> RelayStatus + Send + Sync + 'static> RelayListener<W> {
    /// Listens, and counts from now on.
    pub(super) async fn bind(
        address: SocketAddr,
        watch: W,
        max_lag: Duration,
    ) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::failed(format!(
                "cannot listen on {address} for health and metrics: {error}"
            ))
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        metrics::set_global_recorder(recorder)
            .map_err(|error| Failure::failed(format!("no metrics: {error}")))?;
        let office = RelayOffice {
            watch,
            max_lag,
            metrics,
        };
        Ok(Self {
            listener,
            address,
            office: Arc::new(office),
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is to `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(PLACES));
        let accepting = async {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                match self.listener.accept().await {
                    Ok((tcp, _)) => {
                        let office = Arc::clone(&self.office);
                        tokio::spawn(async move {
                            serve(office, tcp).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = accepting => {}
        }
    }
}

async fn serve<W: Fn() -> RelayStatus + Send + Sync + 'static>(
    office: Arc<RelayOffice<W>>,
    tcp: TcpStream,
) {
    let service = service_fn(move |request| {
        let answer = office.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(tcp), service);
    // Nobody needs one for longer.
    let _ = timeout(LIFETIME, served).await;
}

impl<W: Fn() -> RelayStatus> RelayOffice<W> {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(
                StatusCode::METHOD_NOT_ALLOWED,
                "text/plain",
                "the method here is GET\n".into(),
            );
        }
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "text/plain", "ok\n".into()),
            "/readyz" => self.ready(),
            "/metrics" => {
                let media_type = "text/plain; version=0.0.4; charset=utf-8";
                text(StatusCode::OK, media_type, self.metrics.render())
            }
            _ => text(
                StatusCode::NOT_FOUND,
                "text/plain",
                "/healthz, /readyz or /metrics\n".into(),
            ),
        }
    }

    /// Ready while the other region has what was purged lately enough.
    fn ready(&self) -> Response<Full<Bytes>> {
        let status = (self.watch)();
        let is_level = status.lag.is_some_and(|lag| lag <= self.max_lag);
        let ready = is_level && status.trouble.is_none();
        let told = json!({
            "ready": ready,
            "trouble": status.trouble,
            "position": status.position.map(|position| position.to_string()),
            "lag_seconds": status.lag.map(|lag| lag.as_secs_f64()),
            "lag_records": status.lag_records,
            "relayed": status.relayed,
            "returned": status.returned,
            "appended": status.appended,
            "repeated": status.repeated,
            "resets": status.resets,
        });
        let code = match ready {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        text(code, "application/json", format!("{told}\n"))
    }
}

fn text(status: StatusCode, media_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    let media_type = HeaderValue::from_static(media_type);
    answer.headers_mut().insert(CONTENT_TYPE, media_type);
    answer
}
