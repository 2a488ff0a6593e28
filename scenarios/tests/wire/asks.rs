//! What is asked of an agent, and what goes wrong with it.

use std::time::Duration;

use fake_agent::Fault;
use proptest::prelude::*;
use serde_json::{Value, json};
use timesten_operator::agent::{CacheCleanup, CleanupSide, Urgency, Verb};

use super::lab::STATEMENT;

/// What no text may show.
pub(crate) const SECRETS: [&str; 3] = ["tig3r-Zz", "sc0tt_pw", "hunter2hunter2"];

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Ask {
        pod: usize,
        ask: Ask,
        fault: Option<Fault>,
    },
    /// The container is killed, and started again.
    Restart(usize),
    /// The pod goes, and comes back under another UID.
    Replace(usize),
    KillDaemon(usize),
    /// Nothing passes between the operator and this agent; or all does again.
    Cut(usize, bool),
    Wait(Duration),
    Forget(usize),
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Status,
    Run(Verb),
    Start(Verb),
    /// The task that was started last, or one that never was.
    Poll {
        known: bool,
    },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let pod = 0_usize..2;
    prop_oneof![
        12 => asked(),
        1 => pod.clone().prop_map(Step::Restart),
        1 => pod.clone().prop_map(Step::Replace),
        1 => pod.clone().prop_map(Step::KillDaemon),
        1 => (pod.clone(), any::<bool>()).prop_map(|(pod, cut)| Step::Cut(pod, cut)),
        2 => (1_u64..8000).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
        1 => pod.prop_map(Step::Forget),
    ]
}

fn asked() -> impl Strategy<Value = Step> {
    let ask = prop_oneof![
        2 => Just(Ask::Status),
        6 => verb().prop_map(Ask::Run),
        1 => prop::sample::select(vec![Verb::RepDuplicate, Verb::CreateCg]).prop_map(Ask::Start),
        2 => any::<bool>().prop_map(|known| Ask::Poll { known }),
    ];
    (0_usize..2, ask, prop::option::of(fault())).prop_map(|(pod, ask, fault)| Step::Ask {
        pod,
        ask,
        fault,
    })
}

fn verb() -> impl Strategy<Value = Verb> {
    let cleanup = CacheCleanup {
        state: "Normal".to_owned(),
        side: CleanupSide::Active,
        active_pod: "sample-0".to_owned(),
        standby_pod: "sample-1".to_owned(),
        also_for: None,
    };
    prop::sample::select(vec![
        Verb::StartDaemon,
        Verb::StopDaemon,
        Verb::CreateDb,
        Verb::LoadDb,
        Verb::OpenDb,
        Verb::CloseDb,
        Verb::ForceDisconnect { urgency: Urgency::Immediate },
        Verb::RepAdminWait { timeout: Duration::from_secs(2) },
        Verb::DestroyDb,
        Verb::DropCg,
        Verb::CreateRepScheme { statement: STATEMENT.to_owned() },
        Verb::DropRepScheme,
        Verb::CreateRepEpilog,
        Verb::StartRepAgent,
        Verb::StopRepAgent,
        Verb::RepStateSetActive,
        Verb::RepStateSave,
        Verb::RepDeactivate,
        Verb::SetSubStateStart,
        Verb::StartCacheAgent,
        Verb::StopCacheAgent,
        Verb::CleanupCache(cleanup),
        Verb::SetReadiness,
        Verb::ClearReadiness,
        Verb::SetActive,
        Verb::ClearActive,
        Verb::RemoveNonRepUpgradeFailedFile,
        Verb::Die,
        Verb::CheckNonRepQuiesce,
    ])
}

fn fault() -> impl Strategy<Value = Fault> {
    let code = prop::sample::select(vec![201_u16, 204, 301, 400, 401, 403, 404, 409, 500, 503]);
    let errno = prop::sample::select(vec![-1_i64, 1, 9, 255, 707, 833, 999, 8191, 9996]);
    let ms = |most: u64| (0..most).prop_map(Duration::from_millis);
    prop_oneof![
        1 => Just(Fault::Refuse),
        1 => Just(Fault::Hang),
        1 => ms(40_000).prop_map(Fault::Slow),
        1 => (code.clone(), words()).prop_map(|(code, text)| Fault::Http(code, text)),
        1 => (code, body()).prop_map(|(code, body)| Fault::Http(code, body.to_string())),
        4 => body().prop_map(|body| Fault::Http(200, body.to_string())),
        1 => words().prop_map(|text| Fault::Http(200, text)),
        1 => Just(Fault::BadJson),
        1 => Just(Fault::BadJsonVer),
        2 => (errno.clone(), words()).prop_map(|(errno, text)| Fault::Errno(errno, text)),
        3 => members().prop_map(Fault::Lie),
        1 => (members(), number()).prop_map(|(mut lie, errno)| {
            lie["errno"] = errno;
            Fault::Lie(lie)
        }),
        1 => Just(Fault::LoseReply),
        1 => Just(Fault::LoseBefore),
        1 => (400_u16..600).prop_map(Fault::RejectTask),
        1 => (errno, words()).prop_map(|(errno, text)| Fault::FailTask(errno, text)),
        1 => ms(40_000).prop_map(Fault::SlowTask),
        1 => Just(Fault::StuckTask),
        1 => Just(Fault::ForgetTask),
        1 => Just(Fault::CrashBefore),
        1 => Just(Fault::CrashAfter),
    ]
}

/// Whole replies: what decides, in many shapes, and other members.
fn body() -> impl Strategy<Value = Value> {
    (members(), number(), number()).prop_map(|(mut body, version, errno)| {
        body["jsonVer"] = version;
        body["errno"] = errno;
        body
    })
}

/// A number as it should be, as an agent might spell it, or nothing of the kind.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => prop::sample::select(vec![json!(0), json!(1), json!("0"), json!("1"), json!(0.0), json!(1.0)]),
        2 => prop::sample::select(vec![json!(-1), json!(12), json!("833"), json!(1e30), json!(" 7 ")]),
        1 => prop::sample::select(vec![json!(0.4), json!(0.6), json!(-0.3), json!("0.4"), json!("1e-9")]),
        1 => anything(),
    ]
}

/// Members other than those that decide, each of any type or gone (null).
fn members() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "errmsg",
        "stdout",
        "stderr",
        "errors",
        "create1Err",
        "schemaErr",
        "msg",
        "cmdRc",
        "dup",
        "cg",
        "running",
        "complete",
        "started",
        "updated",
        "ended",
        "type",
        "quiescing",
        "clockSync",
        "daemonUp",
        "instanceExists",
        "installRelease",
        "imageRelease",
        "ttStatus",
        "dbUp",
        "dbError",
        "repState",
        "nRepSchemes",
        "repPeerPState",
        "repPeerPStateFetchErr",
        "newId",
        "updatable",
        "updateErr",
        "usingTwosafe",
        "behindMb",
        "bookmarkLfn",
        "nCacheGroups",
        "awtBehindMb",
        "monitor",
        "systemStats",
        "configuration",
        "cgroupInfo",
        "unheardOf",
    ]);
    prop::collection::btree_map(name, anything(), 0..8).prop_map(|members| json!(members))
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let name = prop::sample::select(vec![
            "db info",
            "conn info",
            "proc type",
            "open",
            "loading",
            "# of conns",
            "obsolete info",
            "data store",
            "ram policy note",
            "dupErr",
            "cgErr",
            "errno",
            "memoryLimit",
            "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

/// What agents print: with a secret in it, as utilities and SQL quote them.
fn words() -> impl Strategy<Value = String> {
    let form = prop::sample::select(vec![
        "ttRepAdmin -duplicate -UID ttagent -PWD % -from sample",
        "DSN=sample;Uid=x;pwd=%;OraclePWD=%;",
        "CREATE USER scott IDENTIFIED BY '%';",
        "Error Message: [TimesTen][Driver][TimesTen]TT15001: alter user a identified by \"%\" -- file \"a.c\"",
        "[TimesTen][Driver][TimesTen]TT8143: -cachePwd % -- file \"b.c\", lineno 5",
        "call ttCacheUidPwdSet('scott','%');",
        "sqlplus -s scott/%@orcl",
        "<html><body>Password=%</body></html>",
        "nothing to hide",
        "",
    ]);
    (form, prop::sample::select(SECRETS.to_vec()))
        .prop_map(|(form, secret)| form.replace('%', secret))
}
