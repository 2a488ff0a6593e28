//! The HTTP interface as a tower service.
//!
//! Owns reading a request's body and turning an answer, or the stream of a watch, into an HTTP response.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};

use crate::ApiServer;
use crate::auth::User;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::respond::Reply;
use crate::verbs::{self, Answer};

/// The body of an answer: whole, or the events of a watch as they come.
pub type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;

/// The real server's `MaxRequestBodyBytes`: the largest body it reads, in bytes.
const LARGEST_BODY: usize = 3 * 1024 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type ResponseFuture =
    Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, BoxError>> + Send>>;

/// The server as a service: what a `kube::Client` is made of.
#[derive(Clone, Debug)]
pub struct Front {
    server: ApiServer,
    trust: Trust,
}

/// Whether who comes through a front may do everything without saying who it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Trust {
    None,
    /// This user, by the certificate of the connection.
    User(Arc<User>),
    Full,
}

impl Front {
    pub(crate) fn new(server: ApiServer, trust: Trust) -> Self {
        Self { server, trust }
    }

    /// The same front for who comes as this user.
    pub(crate) fn of(&self, user: User) -> Self {
        Self { server: self.server.clone(), trust: Trust::User(Arc::new(user)) }
    }

    async fn answer(server: ApiServer, mut request: Request) -> Response<ResponseBody> {
        let yaml = request.accept.contains("application/yaml")
            && !request.accept.contains("application/json");
        match verbs::handle(&server, &mut request).await {
            Answer::Reply(reply) if yaml => whole(reply.into_yaml()),
            Answer::Reply(reply) => whole(reply),
            Answer::Follow(log) => {
                let frames = log.stream(server).map(|bytes| Ok(Frame::data(bytes)));
                response(200, "text/plain", StreamBody::new(frames).boxed_unsync(), &[])
            }
            Answer::Watch(watch) => {
                let frames =
                    watch.stream(server).map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
                response(200, "application/json", StreamBody::new(frames).boxed_unsync(), &[])
            }
        }
    }
}

impl<B> tower::Service<http::Request<B>> for Front
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> ResponseFuture {
        let Self { server, trust } = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            match Limited::new(body, LARGEST_BODY).collect().await {
                Ok(body) => {
                    Ok(Self::answer(server, Request::new(&parts, body.to_bytes(), trust)).await)
                }
                Err(error) if error.is::<LengthLimitError>() => {
                    Ok(whole(Reply::refused(&Refusal::too_large(LARGEST_BODY))))
                }
                Err(error) => Err(error),
            }
        })
    }
}

fn whole(reply: Reply) -> Response<ResponseBody> {
    let body = Full::new(reply.body).boxed_unsync();
    let mut response = response(reply.code, reply.content_type, body, &reply.warnings);
    if let Some(seconds) = reply.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn response(
    code: u16,
    content_type: &'static str,
    body: ResponseBody,
    warnings: &[String],
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() =
        http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for warning in warnings {
        let text = format!("299 - \"{}\"", warning.replace('\\', "\\\\").replace('"', "\\\""));
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}
