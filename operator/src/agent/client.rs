//! The production [`Agent`]: HTTPS with the pinned certificates of an object.

use http::StatusCode;

use super::call::{Form, status_path};
use super::exchange::{Ask, Exchanger, Reply};
use super::mask::mask_body;
use super::{
    Agent, AgentError, Call, Connector, Endpoint, How, Phase, Started, StatusReply, TaskId,
    TaskReport, Verb, VerbReply, wire,
};

const ACTIONS: &str = "/agent";
const TASKS: &str = "/agent/status";

/// Speaks to agents over HTTPS. One for the whole operator.
pub struct HttpsAgent {
    exchanger: Exchanger,
}

impl HttpsAgent {
    /// Reaches agents through `connector`; in production
    /// [`tcp_connector`](super::tcp_connector).
    #[must_use]
    pub fn new(connector: Connector) -> Self {
        Self { exchanger: Exchanger::new(connector) }
    }

    async fn get(
        &self,
        at: &Endpoint,
        path: &str,
        task: Option<&TaskId>,
    ) -> Result<Reply, AgentError> {
        let ask = Ask { path, form: None, task, limit: at.limits.get, phase: Phase::Get };
        self.exchanger.exchange(at, &ask).await
    }

    async fn post(
        &self,
        at: &Endpoint,
        verb: &Verb,
        form: &Form,
        task: Option<&TaskId>,
    ) -> Result<Reply, AgentError> {
        // Customers parse these two lines: their beginnings are kept.
        tracing::info!(host = %at.host, "RunAction: request params={}", form.log_line());
        let (limit, phase) = match verb.limit() {
            Some(own) if verb.is_marker() => (Some(own), Phase::Marker),
            Some(own) => (Some(at.limits.post.unwrap_or(own).min(own)), Phase::Post),
            None => (at.limits.post, Phase::Post),
        };
        let ask = Ask { path: ACTIONS, form: Some(form.encode()), task, limit, phase };
        let reply = self.exchanger.exchange(at, &ask).await?;
        tracing::info!(host = %at.host, "RunAction: response={}", mask_body(&reply.body));
        Ok(reply)
    }

    async fn run_form(
        &self,
        at: &Endpoint,
        verb: &Verb,
        form: &Form,
    ) -> Result<VerbReply, AgentError> {
        let reply = self.post(at, verb, form, None).await?;
        expect_ok(at, reply.status)?;
        wire::verb_reply(&at.host, verb, &reply.body)
    }

    /// `die`: any answer will do, and so will the connection ending without one.
    async fn kill(&self, at: &Endpoint, form: &Form) -> Result<VerbReply, AgentError> {
        match self.post(at, &Verb::Die, form, None).await {
            Ok(reply) if is_unauthorized(reply.status) => Err(unauthorized(at)),
            Ok(_) | Err(AgentError::Unreachable { how: How::Reset, .. }) => {
                Ok(VerbReply::default())
            }
            Err(error) => Err(error),
        }
    }
}

impl Agent for HttpsAgent {
    async fn status(&self, at: &Endpoint) -> Result<StatusReply, AgentError> {
        let reply = self.get(at, &status_path(at), None).await?;
        expect_ok(at, reply.status)?;
        let said = StatusReply::decode(&reply.body)
            .map_err(|what| AgentError::bad_reply(&at.host, what))?;
        Ok(StatusReply { identity: Some(reply.identity), ..said })
    }

    async fn run(&self, at: &Endpoint, call: &Call) -> Result<VerbReply, AgentError> {
        let form = Form::of(at, call);
        if call.verb == Verb::Die {
            return self.kill(at, &form).await;
        }
        let result = self.run_form(at, &call.verb, &form).await;
        match (call.verb.alias(), &result) {
            (Some(alias), Err(error)) if error.errno() == Some(AgentError::UNKNOWN_VERB) => {
                self.run_form(at, &call.verb, &form.renamed(alias)).await
            }
            _ => result,
        }
    }

    async fn start(&self, at: &Endpoint, call: &Call, id: &TaskId) -> Result<Started, AgentError> {
        let reply = self.post(at, &call.verb, &Form::of(at, call), Some(id)).await?;
        if reply.status == StatusCode::ACCEPTED {
            if reply.task.as_deref() != Some(id.as_str()) {
                tracing::warn!(host = %at.host, %id, echo = ?reply.task, "agent accepted the task under another id");
            }
            return Ok(Started::Accepted);
        }
        expect_ok(at, reply.status)?;
        wire::verb_reply(&at.host, &call.verb, &reply.body).map(Started::Done)
    }

    async fn task(&self, at: &Endpoint, id: &TaskId) -> Result<TaskReport, AgentError> {
        let reply = self.get(at, TASKS, Some(id)).await?;
        expect_ok(at, reply.status)?;
        wire::task_report(&at.host, id, &reply.body)
    }

    async fn closed(&self, at: &Endpoint) {
        self.exchanger.pool.closed(at).await;
    }

    fn forget(&self, host: &str) {
        self.exchanger.pool.forget(host);
    }
}

fn expect_ok(at: &Endpoint, status: StatusCode) -> Result<(), AgentError> {
    match status {
        StatusCode::OK => Ok(()),
        status if is_unauthorized(status) => Err(unauthorized(at)),
        other => Err(AgentError::HttpStatus { host: at.host.clone(), code: other.as_u16() }),
    }
}

fn is_unauthorized(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn unauthorized(at: &Endpoint) -> AgentError {
    AgentError::Unauthorized { host: at.host.clone() }
}
