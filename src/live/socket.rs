//! WebSocket (RFC 6455): the updates of several subscriptions over one connection.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
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
use crate::live::problem::Problem;
use crate::live::slots::ClientSlot;
use crate::update::UpdateCursor;

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

/// A subscription that is made by the URL.
pub(super) type First = Option<(Filter, Option<UpdateCursor>)>;

/// Why a connection is closed, as the client is told (RFC 6455 §7.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ending(CloseCode, Cow<'static, str>);

/// The connection, if a client asks for WebSocket.
pub(super) fn asked_for(parts: &mut Parts) -> Result<Option<Upgrade>, Problem> {
    if !has_token(&parts.headers, &UPGRADE, "websocket") {
        return Ok(None);
    }
    let connection = parts.extensions.remove::<OnUpgrade>();
    let key = parts.headers.get(SEC_WEBSOCKET_KEY);
    let version = parts.headers.get(SEC_WEBSOCKET_VERSION);
    let is_asked = parts.version == Version::HTTP_11
        && has_token(&parts.headers, &CONNECTION, "upgrade")
        && version.is_some_and(|version| version == "13");
    match (connection.filter(|_| is_asked), key) {
        (Some(connection), Some(key)) => Ok(Some(Upgrade {
            connection,
            accept: derive_accept_key(key.as_bytes()),
        })),
        (Some(_), None) => Err(Problem::bad_request("there is no Sec-WebSocket-Key")),
        (None, _) => Err(Problem::websocket_version()),
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter();
    let mut tokens = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    tokens.any(|one| one.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Answers, and talks to the client in a task of its own: as many as there are slots, each until either side ends, or
/// the client does not take what it is sent, or is not heard.
pub(super) fn begin(
    upgrade: Upgrade,
    hub: Arc<Hub>,
    admission: Admission,
    first: First,
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
