//! uafast: an OPC UA server that publishes exactly known values, fast. For tests and benches only; 127.0.0.1 only.
//!
//! Usage: uafast --pki DIR [--port 0] [--tags 1000] [--period-ms 100] [--mixed] [--ticks C] [--bad-every M]
//!
//! Namespace `urn:test:uafast`, one variable a tag: `ns=2;i=1000+k` named `t<k>`, k = 0 .. tags-1, below `Objects/line`.
//! Endpoints: None, and SignAndEncrypt with Basic256Sha256, Aes128_Sha256_RsaOaep and Aes256_Sha256_RsaPss, each for
//! anonymous users and for `plant` / `plant-password`; every client certificate is trusted. `--pki` is made if missing.
//!
//! Everything published is a function of the tag k and the tick c, so a reader can check each value it got:
//!   tick 0       the values at start; tick c is set c periods later; after `--ticks C` the values stay at tick C
//!   source time  t0_ns + c * period, exactly, also when a tick comes late (t0_ns is a whole millisecond)
//!   server time  the same
//!   value        Double  k + c / 1024                                      (every tag, unless --mixed)
//!   --mixed      the type goes round with k % 8:
//!     0 Double   k + c / 1024
//!     1 Float    k % 4096 + (c % 1024) / 1024                              exact in 24 bits
//!     2 Int32    k * 1000 + c % 1000, negative when c is odd
//!     3 UInt16   (k + c) % 65536
//!     4 Int64    2^62 + k * 2^32 + c, negative when c is odd               not exact in a double
//!     5 UInt64   2^63 + k * 2^32 + c                                       not exact in a double
//!     6 Boolean  k + c is odd
//!     7 String   "값 <k>/<c>"
//!   --bad-every  when (k + c) % M == 0 and c > 0: an empty value (Null) with status BadSensorFailure (0x808C0000)
//! With --mixed each value also carries the status Good in words, and picoseconds (0) behind its times: fields that most
//! servers leave out and every reader must cope with.
//!
//! Standard output is JSON, an object a line. When clients can connect:
//!   {"event":"ready","url":...,"port":...,"ns":2,"tags":...,"period_ms":...,"t0_ns":...}
//! and at SIGTERM or SIGINT, after the last tick was set (every tag was set the same number of times, tick 0 not counted):
//!   {"event":"stopped","ticks":...,"values_per_tag":...,"values":...,"last_source_ns":...}
//!
//! A client that asks for a sampling interval longer than the period gets times made up by the server's library:
//! ask for 0 to see every value with its own time.

use opcua::server::address_space::Variable;
use opcua::server::diagnostics::NamespaceMetadata;
use opcua::server::node_manager::memory::{simple_node_manager, SimpleNodeManager};
use opcua::server::{Server, ServerBuilder, ServerEndpoint, ServerHandle, ServerUserToken, ANONYMOUS_USER_TOKEN_ID};
use opcua::types::{DataTypeId, DataValue, DateTime, NodeId, ObjectId, StatusCode, Variant};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{signal, SignalKind};
use tokio::time::{interval_at, Instant, MissedTickBehavior};

const NAMESPACE: &str = "urn:test:uafast";
/// Must differ from the namespace of the tags: the library keeps its own nodes under this one.
const APPLICATION: &str = "urn:test:uafast:server";
const FIRST_ID: u32 = 1000;
const USER: &str = "plant";
const PASSWORD: &str = "plant-password";
/// 100 ns steps between 1601 (OPC UA) and 1970 (Unix).
const UNIX_EPOCH_TICKS: i64 = 116_444_736_000_000_000;

struct Options {
    pki: String,
    port: u16,
    tags: u32,
    period_ms: u64,
    ticks: u64,
    bad_every: u64,
    mixed: bool,
}

/// Reads the command line; the message says which argument is wrong.
fn options() -> Result<Options, String> {
    let mut o = Options { pki: String::new(), port: 0, tags: 1000, period_ms: 100, ticks: u64::MAX, bad_every: 0, mixed: false };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if name == "--mixed" {
            o.mixed = true;
            continue;
        }
        let text = args.next().ok_or(format!("{name}: value missing"))?;
        let number = || text.parse::<u64>().map_err(|e| format!("{name} {text}: {e}"));
        match name.as_str() {
            "--pki" => o.pki = text.clone(),
            "--port" => o.port = u16::try_from(number()?).map_err(|e| format!("{name} {text}: {e}"))?,
            "--tags" => o.tags = u32::try_from(number()?).map_err(|e| format!("{name} {text}: {e}"))?,
            "--period-ms" => o.period_ms = number()?.max(1),
            "--ticks" => o.ticks = number()?,
            "--bad-every" => o.bad_every = number()?,
            _ => return Err(format!("{name}: unknown argument")),
        }
    }
    if o.pki.is_empty() {
        return Err("--pki DIR: folder for the server's certificates missing".into());
    }
    Ok(o)
}

fn data_type(k: u32, mixed: bool) -> DataTypeId {
    use DataTypeId::*;
    [Double, Float, Int32, UInt16, Int64, UInt64, Boolean, String][if mixed { k as usize % 8 } else { 0 }]
}

/// The value of tag k at tick c: the table at the head of this file.
fn value(k: u32, c: u64, mixed: bool) -> Variant {
    let sign = if c % 2 == 1 { -1 } else { 1 };
    match data_type(k, mixed) {
        DataTypeId::Float => ((k % 4096) as f32 + (c % 1024) as f32 / 1024.0).into(),
        DataTypeId::Int32 => (sign as i32 * (k * 1000 + (c % 1000) as u32) as i32).into(),
        DataTypeId::UInt16 => (((u64::from(k) + c) % 65536) as u16).into(),
        DataTypeId::Int64 => (sign * ((1i64 << 62) + (i64::from(k) << 32) + c as i64)).into(),
        DataTypeId::UInt64 => ((1u64 << 63) + (u64::from(k) << 32) + c).into(),
        DataTypeId::Boolean => ((u64::from(k) + c) % 2 == 1).into(),
        DataTypeId::String => format!("값 {k}/{c}").into(),
        _ => (f64::from(k) + c as f64 / 1024.0).into(),
    }
}

fn sample(k: u32, c: u64, at: DateTime, o: &Options) -> DataValue {
    let is_bad = o.bad_every > 0 && c > 0 && (u64::from(k) + c) % o.bad_every == 0;
    let (value, status) = match is_bad {
        // An absent value would lose its status in the library; an empty one keeps it.
        true => (Variant::Empty, Some(StatusCode::BadSensorFailure)),
        false => (value(k, c, o.mixed), o.mixed.then_some(StatusCode::Good)),
    };
    let picoseconds = o.mixed.then_some(0);
    DataValue {
        value: Some(value),
        status,
        source_timestamp: Some(at),
        source_picoseconds: picoseconds,
        server_timestamp: Some(at),
        server_picoseconds: picoseconds,
    }
}

fn source_time(t0_ns: u64, c: u64, period_ms: u64) -> DateTime {
    DateTime::from(UNIX_EPOCH_TICKS + ((t0_ns + c * period_ms * 1_000_000) / 100) as i64)
}

/// The server, with limits wide enough for 100,000 tags in one subscription: at the library's own limits a large
/// subscription falls silent.
fn server(o: &Options, port: u16) -> Result<(Server, ServerHandle), String> {
    let users = [ANONYMOUS_USER_TOKEN_ID.to_string(), USER.to_string()];
    let mut builder = ServerBuilder::new()
        .application_name("uafast")
        .application_uri(APPLICATION)
        .product_uri(NAMESPACE)
        .host("127.0.0.1")
        .port(port)
        .discovery_urls(vec!["/".to_owned()])
        .pki_dir(&o.pki)
        .create_sample_keypair(true)
        .trust_client_certs(true)
        .subscription_poll_interval_ms(10)
        .max_message_size(64 << 20)
        .max_chunk_count(1024)
        .max_array_length(200_000)
        .add_user_token(USER, ServerUserToken::user_pass(USER, PASSWORD))
        .add_endpoint("none", ServerEndpoint::new_none("/", &users))
        .add_endpoint("basic256sha256", ServerEndpoint::new_basic256sha256_sign_encrypt("/", &users))
        .add_endpoint("aes128", ServerEndpoint::new_aes128_sha256_rsaoaep_sign_encrypt("/", &users))
        .add_endpoint("aes256", ServerEndpoint::new_aes256_sha256_rsapss_sign_encrypt("/", &users))
        .with_node_manager(simple_node_manager(
            NamespaceMetadata { namespace_uri: NAMESPACE.to_owned(), ..Default::default() },
            "line",
        ));
    let limits = builder.limits_mut();
    limits.operational.max_monitored_items_per_call = 10_000;
    limits.subscriptions.max_monitored_items_per_sub = 200_000;
    limits.subscriptions.max_monitored_item_queue_size = 1000;
    limits.subscriptions.max_notifications_per_publish = 50_000;
    limits.subscriptions.max_queued_notifications = 1000;
    limits.subscriptions.max_publish_requests_per_subscription = 20;
    limits.subscriptions.min_publishing_interval_ms = 10.0;
    limits.subscriptions.min_sampling_interval_ms = 0.0;
    builder.build()
}

/// Sets every tag once a period, and counts the ticks that were set.
async fn tick(o: Arc<Options>, handle: ServerHandle, ids: Vec<NodeId>, t0_ns: u64, done: Arc<AtomicU64>) {
    let nodes = handle.node_managers().get_of_type::<SimpleNodeManager>().expect("the node manager given to the builder");
    let subscriptions = handle.subscriptions().clone();
    let period = Duration::from_millis(o.period_ms);
    let mut clock = interval_at(Instant::now() + period, period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for c in 1..=o.ticks {
        clock.tick().await;
        let at = source_time(t0_ns, c, o.period_ms);
        let values = ids.iter().zip(0u32..).map(|(id, k)| (id, None, sample(k, c, at, &o)));
        nodes.set_values(&subscriptions, values).expect("every tag was added at start");
        done.store(c, Ordering::SeqCst);
    }
}

fn add_tags(handle: &ServerHandle, ns: u16, ids: &[NodeId], at: DateTime, o: &Options) {
    let nodes = handle.node_managers().get_of_type::<SimpleNodeManager>().expect("the node manager given to the builder");
    let mut space = nodes.address_space().write();
    let line = NodeId::new(ns, "line");
    space.add_folder(&line, "line", "line", &ObjectId::ObjectsFolder.into());
    let variable = |(id, k): (&NodeId, u32)| {
        let name = format!("t{k}");
        let mut v = Variable::new_data_value(id, name.clone(), name, data_type(k, o.mixed), None, None, value(k, 0, o.mixed));
        v.set_data_value(sample(k, 0, at, o));
        v
    };
    space.add_variables(ids.iter().zip(0u32..).map(variable).collect(), &line);
}

async fn run(o: Options) -> Result<(), String> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", o.port)).await.map_err(|e| format!("port {}: {e}", o.port))?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    let (server, handle) = server(&o, port)?;
    let ns = handle.get_namespace_index(NAMESPACE).ok_or("namespace not registered")?;
    let ids: Vec<NodeId> = (0..o.tags).map(|k| NodeId::new(ns, FIRST_ID + k)).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| e.to_string())?;
    let t0_ns = now.as_millis() as u64 * 1_000_000;
    add_tags(&handle, ns, &ids, source_time(t0_ns, 0, o.period_ms), &o);

    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    let (o, done) = (Arc::new(o), Arc::new(AtomicU64::new(0)));
    let running = tokio::spawn(server.run_with(listener));
    let ticking = tokio::spawn(tick(o.clone(), handle.clone(), ids, t0_ns, done.clone()));
    println!(
        "{{\"event\":\"ready\",\"url\":\"opc.tcp://127.0.0.1:{port}/\",\"port\":{port},\"ns\":{ns},\"tags\":{},\"period_ms\":{},\"t0_ns\":{t0_ns}}}",
        o.tags, o.period_ms
    );
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    ticking.abort();
    if let Err(e) = ticking.await {
        if e.is_panic() {
            return Err(format!("ticking failed: {e}"));
        }
    }
    let c = done.load(Ordering::SeqCst);
    println!(
        "{{\"event\":\"stopped\",\"ticks\":{c},\"values_per_tag\":{c},\"values\":{},\"last_source_ns\":{}}}",
        c * u64::from(o.tags),
        t0_ns + c * o.period_ms * 1_000_000
    );
    handle.cancel();
    // A client that does not close must not keep the process alive.
    let _ = tokio::time::timeout(Duration::from_secs(2), running).await;
    Ok(())
}

#[tokio::main]
async fn main() {
    let result = match options() {
        Ok(o) => run(o).await,
        Err(e) => Err(e),
    };
    if let Err(e) = result {
        eprintln!("uafast: {e}");
        std::process::exit(2);
    }
}
