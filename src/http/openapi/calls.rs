//! What each call of the table takes and gives.

use serde_json::{Value, json};
use tenancy::access::Route;
use tenancy::audit::Action;
use tenancy::{Exchanged, NewTenant, TenantChange, TenantRecord, TenantSettings, Ticket};

use super::answers::{self, Answer};
use super::bodies::{self, Body};
use super::parameters;
use super::schemas::{self, Collect};
use crate::alerts::rule;
use crate::alerts::told::{ShownRule, WholeAlert};
use crate::http::{
    alerts, audit, dashboards, dead_letters, event_types, events, fields, own_views, platform,
    queries, reports, revocations, service_tokens, sign_in, templates, tenants, views,
};
use crate::reports::definition::{Definition, FileFormat};
use crate::template_versions::Outlook;
use crate::{event_types as types, exports};

const LOCATED: &[&str] = &["Location"];
const AT_POSITION: &[&str] = &["Tidemark-Position"];
const TAGGED: &[&str] = &["ETag"];

/// What a definition may have beside its own fields.
const SENT_BACK: &str = "what an answer tells beside, such as `id` and `version`, may be left in";

/// What a call takes and gives beside what all calls of its kind do.
#[derive(Default)]
pub(super) struct Call {
    /// Those of the address' query and of headers.
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    /// Statuses of problems.
    pub(super) refusals: Vec<u16>,
}

impl Call {
    fn gives(answer: Answer) -> Self {
        Self { answers: vec![answer], ..Self::default() }
    }

    fn or(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    fn takes(self, body: Body) -> Self {
        Self { body: Some(body), ..self }
    }

    fn asked(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    /// The types of its body and answers.
    pub(super) fn types(&self) -> impl Iterator<Item = Collect> {
        let body = self.body.iter().flat_map(|body| &body.content).map(|(_, shape)| shape);
        let answers = self.answers.iter().flat_map(|answer| &answer.content);
        let shapes = body.chain(answers.filter_map(|(_, shape)| shape.as_ref()));
        shapes.flat_map(|shape| shape.types.iter().copied())
    }
}

/// The call of a route; none if nobody has described it.
pub(super) fn call(route: &Route) -> Option<Call> {
    let (method, path) = (route.method, route.path);
    public(method, path)
        .or_else(|| of_events(method, path))
        .or_else(|| of_views(method, path))
        .or_else(|| of_reports(method, path))
        .or_else(|| of_alerts(method, path))
        .or_else(|| of_dashboards(method, path))
        .or_else(|| live(method, path))
        .or_else(|| of_tenant(method, path))
        .or_else(|| of_platform(method, path))
}

fn public(method: &str, path: &str) -> Option<Call> {
    Some(match (method, path) {
        ("GET", "/livez") => Call::gives(answers::text("text/plain", "it lives")),
        ("GET", "/readyz") => {
            Call::gives(answers::text("text/plain", "figures are complete")).refuses(&[503])
        }
        ("GET", "/metrics") => {
            Call::gives(answers::text("text/plain", "figures in Prometheus' form")).refuses(&[404])
        }
        ("GET", "/openapi.json") => {
            let document = schemas::plain(json!({ "type": "object" }));
            Call::gives(answers::shaped(200, "this document", document))
        }
        ("GET", "/v1/sign-in") => {
            Call::gives(answers::json::<sign_in::Options>(200, "how the page signs in"))
                .refuses(&[503])
        }
        ("POST", "/v1/sign-in") => Call::gives(answers::json::<Exchanged>(200, "a token"))
            .takes(
                bodies::json::<sign_in::Code>().about("what the issuer sent the browser back with"),
            )
            .refuses(&[401, 404, 503]),
        _ => return None,
    })
}

fn of_events(method: &str, path: &str) -> Option<Call> {
    Some(match (method, path) {
        ("POST", "/v1/events") => {
            let receipt = answers::json::<events::Receipt>(202, "what is accepted is on disk");
            Call::gives(receipt.with(AT_POSITION)).takes(bodies::events())
        }
        ("GET", "/v1/event-types" | "/v1/platform/event-types") => {
            Call::gives(answers::json::<event_types::Listed>(200, "the event types"))
        }
        ("POST", "/v1/event-types" | "/v1/platform/event-types") => {
            let made = answers::json::<types::Described>(201, "the event type is there now");
            let known = answers::json::<types::Described>(200, "it was there, and is so now");
            Call::gives(made.with(LOCATED))
                .or(known.with(LOCATED))
                .takes(bodies::json::<event_types::Registration>())
                .refuses(&[409, 422])
        }
        ("GET", "/v1/event-types/{type}" | "/v1/platform/event-types/{type}") => {
            Call::gives(answers::json::<types::Described>(200, "the event type")).refuses(&[409])
        }
        ("GET", "/v1/dead-letters" | "/v1/platform/dead-letters") => {
            let page = answers::json::<dead_letters::Listed>(200, "dead letters, the oldest first");
            Call::gives(page).asked(parameters::page(dead_letters::PAGE, dead_letters::MOST))
        }
        ("DELETE", "/v1/dead-letters/{id}" | "/v1/platform/dead-letters/{id}") => {
            Call::gives(answers::nothing(204, "it is no more"))
        }
        ("POST", "/v1/dead-letters/{id}/replay" | "/v1/platform/dead-letters/{id}/replay") => {
            Call::gives(answers::json::<dead_letters::Replayed>(202, "Kafka has it again"))
                .refuses(&[422])
        }
        _ => return None,
    })
}

fn of_views(method: &str, path: &str) -> Option<Call> {
    Some(match (method, path) {
        ("GET", "/v1/views") => {
            let views = answers::json::<views::Listed>(200, "the views");
            Call::gives(views.with(AT_POSITION)).asked(parameters::waiting()).refuses(&[504])
        }
        ("POST", "/v1/views") => {
            let made = answers::json::<views::Described>(201, "the view is being filled");
            let known = answers::json::<views::Described>(200, "another is put in its place");
            Call::gives(made.with(LOCATED))
                .or(known.with(LOCATED))
                .takes(bodies::json::<own_views::New>())
                .refuses(&[409, 422])
        }
        ("GET", "/v1/views/{name}") => {
            let rows =
                answers::rows("rows: JSON by pages, others whole", schemas::named("ViewPage"));
            Call::gives(rows.with(AT_POSITION))
                .asked(parameters::rows())
                .asked([parameters::raw()])
                .asked(parameters::waiting())
                .refuses(&[406, 409, 504])
        }
        ("DELETE", "/v1/views/{name}") => {
            Call::gives(answers::nothing(204, "it is no more")).refuses(&[409])
        }
        ("GET", "/v1/views/{name}/status") => {
            let status = answers::json::<own_views::Status>(200, "how far it has come");
            Call::gives(status.with(AT_POSITION)).asked(parameters::waiting()).refuses(&[409, 504])
        }
        ("GET", "/v1/views/{name}/explain") => {
            let about = "the events behind a figure: JSON by pages, others whole";
            let rows = answers::rows(about, schemas::named("Explanation"));
            Call::gives(rows.with(AT_POSITION))
                .asked(parameters::cell())
                .asked(parameters::rows())
                .asked([parameters::raw()])
                .asked(parameters::waiting())
                .refuses(&[406, 409, 422, 504])
        }
        ("POST", "/v1/query") => {
            let rows = schemas::either(schemas::named("Rows"), schemas::of::<queries::Described>());
            let rows =
                answers::rows("rows; with `describe` what the statement takes and gives", rows);
            Call::gives(rows.with(AT_POSITION))
                .takes(bodies::json::<queries::Question>())
                .asked([parameters::raw()])
                .asked(parameters::waiting())
                .refuses(&[404, 406, 409, 422, 504])
        }
        _ => return None,
    })
}

fn of_reports(method: &str, path: &str) -> Option<Call> {
    let definition = || bodies::json::<Definition>().about(SENT_BACK);
    Some(match (method, path) {
        ("GET", "/v1/reports") => Call::gives(answers::json::<reports::Listed>(200, "the reports")),
        ("POST", "/v1/reports") => {
            let made = answers::json::<reports::ShownReport>(201, "the report is there now");
            Call::gives(made.with(LOCATED).with(TAGGED))
                .takes(definition())
                .refuses(&[404, 409, 422])
        }
        ("GET", "/v1/reports/{id}") => {
            let report = answers::json::<reports::ShownReport>(200, "the report");
            Call::gives(report.with(TAGGED))
        }
        ("PUT", "/v1/reports/{id}") => {
            let report = answers::json::<reports::ShownReport>(200, "what it is now");
            Call::gives(report.with(TAGGED))
                .takes(definition())
                .asked([parameters::if_match(true)])
                .refuses(&[409, 412, 422, 428])
        }
        ("DELETE", "/v1/reports/{id}") => {
            Call::gives(answers::nothing(204, "it, its runs and files are no more"))
                .asked([parameters::if_match(false)])
                .refuses(&[412])
        }
        ("POST", "/v1/reports/{id}/run") => {
            let queued = answers::json::<reports::Queued>(202, "the run waits for its turn");
            Call::gives(queued.with(LOCATED))
                .takes(bodies::maybe::<reports::RunBody>())
                .refuses(&[422])
        }
        ("GET", "/v1/reports/{id}/runs") => {
            let runs = answers::json::<reports::Runs>(200, "runs, the newest first");
            Call::gives(runs).asked(parameters::page(reports::PAGE, reports::PAGE_MOST))
        }
        ("GET", "/v1/reports/{id}/runs/{run}") => {
            Call::gives(answers::json::<reports::ShownRun>(200, "how far it has come"))
        }
        ("DELETE", "/v1/reports/{id}/runs/{run}") => {
            Call::gives(answers::nothing(204, "it is called off")).refuses(&[409])
        }
        ("GET", "/v1/exports/{run}") => download(),
        _ => return None,
    })
}

fn of_alerts(method: &str, path: &str) -> Option<Call> {
    let definition = || bodies::json::<rule::Definition>().about(SENT_BACK);
    Some(match (method, path) {
        ("GET", "/v1/alert-rules") => {
            let rules = answers::json::<alerts::Rules>(200, "the rules, the built-in ones first");
            Call::gives(rules)
        }
        ("POST", "/v1/alert-rules") => {
            let made = answers::json::<ShownRule>(201, "the rule is there now");
            Call::gives(made.with(LOCATED).with(TAGGED))
                .takes(definition())
                .refuses(&[404, 409, 422])
        }
        ("GET", "/v1/alert-rules/{id}") => {
            Call::gives(answers::json::<ShownRule>(200, "the rule").with(TAGGED))
        }
        ("PUT", "/v1/alert-rules/{id}") => {
            Call::gives(answers::json::<ShownRule>(200, "what it is now").with(TAGGED))
                .takes(definition())
                .asked([parameters::if_match(true)])
                .refuses(&[409, 412, 422, 428])
        }
        ("DELETE", "/v1/alert-rules/{id}") => {
            Call::gives(answers::nothing(204, "it and its alerts are no more"))
                .asked([parameters::if_match(false)])
                .refuses(&[409, 412])
        }
        ("GET", "/v1/alerts") => {
            let page = answers::json::<alerts::Listed>(200, "alerts, the newest first");
            Call::gives(page)
                .asked(parameters::alerts())
                .asked(parameters::page(alerts::PAGE, alerts::PAGE_MOST))
        }
        ("GET", "/v1/alerts/{id}") => {
            Call::gives(answers::json::<WholeAlert>(200, "the alert, and what became of it"))
        }
        ("POST", "/v1/alerts/{id}/acknowledge") => {
            Call::gives(answers::json::<WholeAlert>(200, "somebody has seen it")).refuses(&[409])
        }
        ("POST", "/v1/alerts/{id}/snooze") => {
            Call::gives(answers::json::<WholeAlert>(200, "what it is now"))
                .takes(bodies::json::<alerts::Snooze>())
                .refuses(&[409])
        }
        _ => return None,
    })
}

fn of_dashboards(method: &str, path: &str) -> Option<Call> {
    let new = || bodies::json::<dashboards::New>().about(SENT_BACK);
    let shown = |status, about| answers::json::<dashboards::Shown>(status, about).with(TAGGED);
    Some(match (method, path) {
        ("GET", "/v1/dashboards") => {
            let listed =
                answers::json::<dashboards::Listed>(200, "the dashboards, the oldest first");
            Call::gives(listed)
        }
        ("POST", "/v1/dashboards") => {
            Call::gives(shown(201, "the dashboard is there now").with(LOCATED))
                .takes(new())
                .refuses(&[422])
        }
        ("GET", "/v1/dashboards/{id}") => {
            let same = answers::nothing(304, "it is the version that `If-None-Match` names");
            let held = parameters::header("If-None-Match", "the `ETag` of what is there already");
            Call::gives(shown(200, "the dashboard")).or(same.with(TAGGED)).asked([held])
        }
        ("PUT", "/v1/dashboards/{id}") => Call::gives(shown(200, "what it is now"))
            .takes(new())
            .asked([parameters::if_match(true)])
            .refuses(&[412, 422, 428]),
        ("DELETE", "/v1/dashboards/{id}") => {
            Call::gives(answers::nothing(204, "it and its versions are no more"))
                .asked([parameters::if_match(false)])
                .refuses(&[412])
        }
        ("GET", "/v1/dashboards/{id}/versions") => {
            let about = "the versions that are kept, the newest first";
            Call::gives(answers::json::<dashboards::Versions>(200, about))
        }
        ("GET", "/v1/dashboards/{id}/versions/{version}") => {
            Call::gives(answers::json::<dashboards::WholeVersion>(200, "what the dashboard was"))
        }
        ("POST", "/v1/dashboards/{id}/versions/{version}/restore") => {
            Call::gives(shown(200, "what it is now"))
                .asked([parameters::if_match(true)])
                .refuses(&[412, 428])
        }
        _ => return None,
    })
}

/// The file of a run.
fn download() -> Call {
    const FILE: &[&str] = &[
        "Content-Disposition",
        "Content-Length",
        "Accept-Ranges",
        "Tidemark-Position",
        "Tidemark-Rows",
        "Tidemark-As-Of",
        "ETag",
        "Digest",
        "Repr-Digest",
        "Sunset",
    ];
    const KNOWN: &[&str] =
        &["Tidemark-Rows", "Tidemark-As-Of", "ETag", "Digest", "Repr-Digest", "Sunset"];
    let [csv, xlsx, parquet] = [FileFormat::Csv, FileFormat::Xlsx, FileFormat::Parquet]
        .map(|format| answers::kind(format.content_type()));
    let whole = answers::bytes(200, "the file", &[csv, xlsx, parquet, "application/gzip"]);
    let part = answers::bytes(206, "some of its bytes", &[csv, xlsx, parquet]);
    let headers = [
        parameters::header("Range", "some bytes, as bytes=0-499"),
        parameters::header("If-Range", "the `ETag` of the file of which they are wanted"),
        parameters::header("If-None-Match", "the `ETag` of a file that is there already"),
    ];
    Call::gives(whole.with(FILE))
        .or(part.with(FILE).with(&["Content-Range"]))
        .or(answers::nothing(304, "it is the file that `If-None-Match` names").with(KNOWN))
        .asked([parameters::gzip()])
        .asked(headers)
        .refuses(&[409, 410, 416])
}

fn live(method: &str, path: &str) -> Option<Call> {
    Some(match (method, path) {
        ("GET", "/v1/stream") => {
            let about = "Server-Sent Events: snapshot, delta, reset, error, heartbeat, resumed and \
                alerts, whose data are JSON; it does not end";
            let last = "the position up to which all was seen";
            Call::gives(answers::text("text/event-stream", about))
                .asked([parameters::subscriptions(), parameters::header("Last-Event-ID", last)])
        }
        ("GET", "/v1/ws") => {
            Call::gives(answers::nothing(101, "a WebSocket, with messages in JSON")).refuses(&[426])
        }
        ("POST", "/v1/tickets") => {
            Call::gives(answers::json::<Ticket>(201, "a ticket, good once and for 30 seconds"))
        }
        _ => return None,
    })
}

fn of_tenant(method: &str, path: &str) -> Option<Call> {
    Some(match (method, path) {
        ("GET", "/v1/audit" | "/v1/platform/audit") => {
            let records = schemas::of::<audit::Records>();
            let rows =
                answers::rows("records: JSON by pages, the newest first; others whole", records);
            Call::gives(rows)
                .asked(parameters::records(&Action::ALL.map(Action::as_str)))
                .asked(parameters::page(audit::PAGE, audit::MOST))
                .asked([parameters::raw()])
                .refuses(&[406])
        }
        ("GET", "/v1/service-tokens") => {
            Call::gives(answers::json::<service_tokens::Listed>(200, "the tokens, but themselves"))
        }
        ("POST", "/v1/service-tokens") => {
            let made =
                answers::json::<service_tokens::Made>(201, "a token, which is shown this once");
            Call::gives(made.with(LOCATED))
                .takes(bodies::json::<service_tokens::New>())
                .refuses(&[422])
        }
        ("GET", "/v1/service-tokens/{id}") => {
            Call::gives(answers::json::<service_tokens::Shown>(200, "what is known of the token"))
        }
        ("DELETE", "/v1/service-tokens/{id}") => {
            Call::gives(answers::nothing(204, "it holds no more"))
        }
        ("GET", "/v1/tenant/revocations") => {
            Call::gives(answers::json::<revocations::Listed>(200, "whose sign-ins were ended"))
        }
        ("POST", "/v1/tenant/revocations") => {
            Call::gives(answers::json::<revocations::Shown>(200, "they are ended"))
                .takes(bodies::json::<revocations::New>())
                .refuses(&[422])
        }
        ("GET", "/v1/tenant") => Call::gives(answers::json::<TenantRecord>(200, "the tenant")),
        ("PATCH", "/v1/tenant") => {
            Call::gives(answers::json::<TenantRecord>(200, "what it is now"))
                .takes(bodies::json::<TenantSettings>())
                .refuses(&[404, 409])
        }
        ("GET", "/v1/tenant/fields") => {
            Call::gives(answers::json::<fields::Listed>(200, "the fields, those given first"))
        }
        ("GET", "/v1/tenant/fields/{type}/{name}") => {
            Call::gives(answers::json::<fields::Shown>(200, "the field")).refuses(&[409])
        }
        ("PUT", "/v1/tenant/fields/{type}/{name}") => {
            let made = answers::json::<fields::Shown>(201, "the field is a column now");
            let known = answers::json::<fields::Shown>(200, "it was declared, and is so now");
            Call::gives(made.with(LOCATED))
                .or(known.with(LOCATED))
                .takes(bodies::json::<fields::New>())
                .refuses(&[409, 422])
        }
        ("DELETE", "/v1/tenant/fields/{type}/{name}") => {
            Call::gives(answers::nothing(204, "it is no column any more")).refuses(&[409])
        }
        ("GET", "/v1/tenant/template") => {
            let outlook = answers::json::<Outlook>(200, "what it was given, and what is newer");
            Call::gives(outlook.with(TAGGED)).or(answers::nothing(204, "it has no template"))
        }
        ("POST", "/v1/tenant/template/update") => {
            let outlook = answers::json::<Outlook>(200, "it is taken over: what there is now");
            Call::gives(outlook.with(TAGGED))
                .takes(bodies::json::<templates::Update>())
                .asked([parameters::if_match(false)])
                .refuses(&[404, 409, 412, 422])
        }
        ("POST", "/v1/tenant/export") => {
            let run = answers::json::<exports::Run>(202, "the export that is under way");
            Call::gives(run.with(LOCATED))
        }
        ("GET", "/v1/tenant/export/{run}") => {
            Call::gives(answers::json::<exports::Run>(200, "how far it has come"))
        }
        ("GET", "/v1/tenant/export/{run}/archive") => {
            let archive = answers::bytes(200, "the archive", &["application/x-tar"]);
            Call::gives(archive.with(&["Content-Disposition", "Content-Length"])).refuses(&[409])
        }
        _ => return None,
    })
}

fn of_platform(method: &str, path: &str) -> Option<Call> {
    Some(match (method, path) {
        ("GET", "/v1/platform/overview") => {
            Call::gives(answers::json::<platform::Overview>(200, "how all tenants do"))
        }
        ("GET", "/v1/platform/verticals") => {
            Call::gives(answers::json::<tenants::Verticals>(200, "the templates"))
        }
        ("GET", "/v1/platform/tenants") => {
            Call::gives(answers::json::<tenants::Listed>(200, "the tenants"))
        }
        ("POST", "/v1/platform/tenants") => {
            let made = answers::json::<TenantRecord>(201, "the tenant is there now");
            let known =
                answers::json::<TenantRecord>(200, "it was created by the same call before");
            Call::gives(made.with(LOCATED))
                .or(known.with(LOCATED))
                .takes(bodies::json::<NewTenant>())
                .refuses(&[409])
        }
        ("GET", "/v1/platform/tenants/{id}") => {
            Call::gives(answers::json::<tenants::Known>(200, "the tenant")).refuses(&[410])
        }
        ("PATCH", "/v1/platform/tenants/{id}") => {
            Call::gives(answers::json::<TenantRecord>(200, "what it is now"))
                .takes(bodies::json::<TenantChange>())
                .refuses(&[409])
        }
        ("DELETE", "/v1/platform/tenants/{id}") => {
            let deleted = answers::json::<tenants::Buried>(202, "it is deleted, and erased behind");
            Call::gives(deleted).refuses(&[409, 410])
        }
        _ => return None,
    })
}
