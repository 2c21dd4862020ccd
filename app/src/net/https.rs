//! One HTTPS request to a directory or an SFU: `POST`, no redirect, everything bounded.
//!
//! A connection for each request: they are ten seconds and more apart, and a kept one would be one more thing to break.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full, Limited};
use hullo_proto::group::http::{HttpRequest, HttpResult};
use hullo_proto::group::wire::BODY_LEN_MAX;
use hullo_proto::service::sfu::{WANTED_HEADER, WANTED_VERSION};
use hullo_signalling::server_url::ServerUrl;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::tls::{self, Trust};

/// A whole answer's head: ours are some 200 bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// A server that takes longer to say how it is, is none to call over.
const DATE_TIME_MAX: Duration = Duration::from_secs(10);
/// The usual port of `https`.
const PORT_DEFAULT: u16 = 443;

/// What came of a request, and whether the SFU agreed to the channel of wanted layers.
pub(super) struct Answer {
    pub(super) result: HttpResult,
    pub(super) has_wanted_channel: bool,
}

/// Runs it within its own time. `pin` as in [`hullo_signalling::lobby::LobbyRequest`]; `asks_wanted`: whether the channel
/// of wanted layers is asked for.
pub(super) async fn post(request: HttpRequest, pin: Option<[u8; 32]>, asks_wanted: bool) -> Answer {
    let time_max = request.timeout;
    match exchange(request, pin, asks_wanted, time_max).await {
        Ok(answer) => answer,
        Err(reason) => {
            tracing::info!(reason, "a call's server did not answer");
            Answer {
                result: HttpResult::Unreachable,
                has_wanted_channel: false,
            }
        }
    }
}

async fn exchange(
    request: HttpRequest,
    pin: Option<[u8; 32]>,
    asks_wanted: bool,
    time_max: Duration,
) -> Result<Answer, String> {
    let run = async {
        let uri: Uri = request.url.parse().map_err(words)?;
        let (host, port) = address(&uri)?;
        let tcp = TcpStream::connect((host, port)).await.map_err(words)?;
        let trust = pin.map_or(Trust::Public, Trust::Pin);
        let tls = tls::connect_to(host, trust, tcp).await?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(words)?;
        let request = built(request, &uri, asks_wanted)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(words)?;
            let status = response.status().as_u16();
            let agreed = response.headers().get(WANTED_HEADER);
            let has_wanted_channel =
                asks_wanted && agreed.is_some_and(|value| *value == WANTED_VERSION.to_string());
            let body = Limited::new(response.into_body(), BODY_LEN_MAX);
            let body = body.collect().await.map_err(words)?.to_bytes().to_vec();
            Ok(Answer {
                result: HttpResult::Response { status, body },
                has_wanted_channel,
            })
        };
        // The connection moves bytes while the answer is awaited; what it says at its end is the answer's to say.
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            ended = connection => match ended {
                Ok(()) => answer.await,
                Err(error) => Err(words(error)),
            },
        }
    };
    timeout(time_max, run)
        .await
        .unwrap_or_else(|_| Err("it took too long".to_owned()))
}

/// Whether the server at `url` answers and holds its key; the time by its clock, if it says so.
///
/// # Errors
/// Why not, in words.
pub(super) async fn date_of(url: &ServerUrl) -> Result<Option<SystemTime>, String> {
    let run = async {
        let tcp = TcpStream::connect((url.host(), url.port()))
            .await
            .map_err(words)?;
        let tls = tls::connect(url, tcp).await?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(words)?;
        let request = Request::get("/health")
            .header(HOST, url.host())
            .body(Full::new(Bytes::new()))
            .map_err(words)?;
        let response = tokio::select! {
            response = sender.send_request(request) => response.map_err(words)?,
            _ended = connection => return Err("it closed the connection".to_owned()),
        };
        let date = response
            .headers()
            .get(DATE)
            .and_then(|date| date.to_str().ok());
        Ok(date.and_then(|date| httpdate::parse_http_date(date).ok()))
    };
    timeout(DATE_TIME_MAX, run)
        .await
        .unwrap_or_else(|_| Err("it took too long".to_owned()))
}

/// Host (IPv6 without brackets) and port.
fn address(uri: &Uri) -> Result<(&str, u16), String> {
    if uri.scheme_str() != Some("https") {
        return Err("its address is not https".to_owned());
    }
    let host = uri.host().ok_or("its address has no host")?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .filter(|host| host.parse::<IpAddr>().is_ok())
        .unwrap_or(host);
    Ok((bare, uri.port_u16().unwrap_or(PORT_DEFAULT)))
}

fn built(
    request: HttpRequest,
    uri: &Uri,
    asks_wanted: bool,
) -> Result<Request<Full<Bytes>>, String> {
    let authority = uri.authority().ok_or("its address has no host")?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut built = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, authority.as_str())
        .header(CONTENT_TYPE, request.content_type);
    if let Some(token) = request.authorization {
        let mut value = HeaderValue::from_str(&token).map_err(words)?;
        value.set_sensitive(true);
        built = built.header(AUTHORIZATION, value);
    }
    if asks_wanted {
        built = built.header(WANTED_HEADER, u16::from(WANTED_VERSION));
    }
    built
        .body(Full::new(Bytes::from(request.body)))
        .map_err(words)
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
