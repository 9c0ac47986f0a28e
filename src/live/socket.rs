//! WebSocket (RFC 6455): the updates of several subscriptions over one connection.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::live::access::Admission;
use crate::live::body::LiveBody;
use crate::live::filter::Filter;
use crate::live::hub::Hub;
use crate::live::problem;
use crate::live::slots::ClientSlot;
use crate::update::UpdateCursor;
use crate::web::Problem;

mod conversation;
mod message;

use self::conversation::Conversation;

/// How long the connection may take to be handed over: the head of the response is written first.
const HANDOVER: Duration = Duration::from_secs(30);
/// The largest message of a client.
const MAX_MESSAGE: usize = 32 * 1024;
/// What may wait to be written to a client.
const MAX_UNWRITTEN: usize = 256 * 1024;

/// A connection that is to be one of WebSocket.
pub(super) struct Upgrade {
    connection: OnUpgrade,
    accept: String,
}

/// What a client wants to be told, and from where on.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) filter: Filter,
    pub(super) cursor: Option<UpdateCursor>,
}

/// How a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Close {
    /// The client is told why (RFC 6455 §7.4.1).
    Say(CloseCode, Cow<'static, str>),
    /// It is gone, or takes nothing.
    Gone,
}

/// The connection, if a client asks for WebSocket.
pub(super) fn asked_for(parts: &mut Parts) -> Result<Option<Upgrade>, Problem> {
    let headers = &parts.headers;
    // Below HTTP/1.1 it is to be ignored (RFC 9110 §7.8).
    if !has_token(headers, &UPGRADE, "websocket") || parts.version < Version::HTTP_11 {
        return Ok(None);
    }
    let version = headers.get(SEC_WEBSOCKET_VERSION);
    let is_asked = parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && has_token(headers, &CONNECTION, "upgrade")
        && version.is_some_and(|version| version == "13");
    if !is_asked {
        return Err(problem::websocket_version());
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key.as_bytes()) => key,
        _ => {
            return Err(Problem::bad_request(
                "Sec-WebSocket-Key is not 16 bytes in Base64, once",
            ));
        }
    };
    let accept = derive_accept_key(key.as_bytes());
    let connection = parts.extensions.remove::<OnUpgrade>();
    let connection = connection.ok_or_else(problem::no_upgrade)?;
    Ok(Some(Upgrade { connection, accept }))
}

/// RFC 6455 §4.2.1: 16 bytes in Base64.
fn is_key(key: &[u8]) -> bool {
    STANDARD.decode(key).is_ok_and(|key| key.len() == 16)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter();
    let mut tokens = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    tokens.any(|one| one.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Answers, and talks to the client in a task of its own. There are as many as slots; each ends when either side closes,
/// when a write takes 10 s, or when pings are not answered.
pub(super) fn begin(
    upgrade: Upgrade,
    hub: Arc<Hub>,
    admission: Admission,
    first: Option<Subscription>,
    slot: ClientSlot,
) -> Response<LiveBody> {
    let mut response = Response::new(LiveBody::full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&upgrade.accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    tokio::spawn(async move {
        let _slot = slot;
        let Ok(Ok(io)) = timeout(HANDOVER, upgrade.connection).await else {
            return;
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_UNWRITTEN);
        let io = TokioIo::new(io);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        Conversation::new(hub, admission, socket).run(first).await;
    });
    response
}
