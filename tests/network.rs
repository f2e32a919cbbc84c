//! The embedded server and the steps that ask it, over real sockets; and peers that misbehave.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::server::Server;
use conbench::internal::agent::steps::http::HttpStep;
use conbench::internal::agent::steps::tcp::TcpStep;
use conbench::internal::agent::task::Step as _;
use conbench::internal::candidate::{Candidate, Engine, Sizes};
use conbench::internal::protocol::{
    DRAWS, Failed, FailureKind, Job, ServerAddress, StepJob, VARIANTS, body, tcp_header,
};
use conbench::internal::workload::{Connection, Distribution, Load, Step};

/// No read in these tests waits longer, so that none can hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the server's HTTP port.
fn over_http(server: &Server) -> TcpStream {
    connect(server.address.http_port)
}

/// A connection to the server's TCP port.
fn over_tcp(server: &Server) -> TcpStream {
    connect(server.address.tcp_port)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

fn job(step: Step, server: Option<ServerAddress>, timeout_ns: u64) -> Job {
    let draws = vec![vec![200_000; DRAWS]];
    let candidate = Candidate::new("rust", Engine::Sequential, Sizes::default());
    let steps = vec![StepJob { step, iterations: 1, draws, items: None }];
    Job { server, ..Job::new(candidate, Load::Closed { max_in_flight: 4 }, steps, 1, timeout_ns) }
}

fn http_step(url: Option<String>, connection: Connection, server: Option<ServerAddress>) -> HttpStep {
    let delay = Distribution::Fixed { time_ns: 200_000 };
    let job = job(Step::Http { url, delay, body_bytes: 3000, connection }, server, 30_000_000_000);
    HttpStep::new(1, &job, &job.steps[0]).expect("a step")
}

fn tcp_step(address: Option<String>, connection: Connection, server: Option<ServerAddress>) -> TcpStep {
    let delay = Distribution::Fixed { time_ns: 200_000 };
    let step = Step::Tcp { address, delay, request_bytes: 5000, response_bytes: 3001, connection };
    let job = job(step, server, 30_000_000_000);
    TcpStep::new(2, &job, &job.steps[0]).expect("a step")
}

fn on_a_loop<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// A peer that answers the nth request it sees, over all connections, with `answer(n)`; an empty answer, and
/// one with `close` in it, ends the connection. Counts its connections.
fn peer(answer: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let connections = Arc::new(AtomicUsize::new(0));
    let (counted, answer, requests) = (Arc::clone(&connections), Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            let (mut stream, answer, requests) =
                (stream.expect("a connection"), Arc::clone(&answer), Arc::clone(&requests));
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("a handle"));
                let mut line = String::new();
                while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
                    if line == "\r\n" {
                        let bytes = answer(requests.fetch_add(1, Ordering::SeqCst));
                        // In two pieces, so that the client sees the seam.
                        let (first, second) = bytes.split_at(bytes.len() / 2);
                        if bytes.is_empty() || stream.write_all(first).is_err() {
                            break;
                        }
                        std::thread::yield_now();
                        let _ = stream.write_all(second);
                        if bytes.windows(5).any(|window| window == b"close") {
                            break;
                        }
                    }
                    line.clear();
                }
                let _ = stream.shutdown(Shutdown::Both);
            });
        }
    });
    (port, connections)
}

fn message(outcome: Result<u64, Failed>) -> String {
    let failed = outcome.expect_err("a failure");
    assert_eq!((failed.kind, failed.place.as_str()), (FailureKind::Task, "step 1 (http)"));
    failed.message
}

#[test]
fn both_forms_of_both_steps_agree_with_the_reference_on_kept_and_new_connections() {
    let server = Server::start();
    for connection in [Connection::KeepAlive, Connection::New] {
        let http = http_step(None, connection, Some(server.address));
        let tcp = tcp_step(None, connection, Some(server.address));
        let mut sums = std::collections::HashSet::new();
        for index in 0..2 * VARIANTS {
            let expected = http.reference(index).expect("a reference");
            assert_eq!(http.blocking(index).expect("an answer"), expected);
            sums.insert(expected);
            let expected = tcp.reference(index).expect("a reference");
            assert_eq!(tcp.blocking(index).expect("an answer"), expected);
            sums.insert(expected);
        }
        assert_eq!(sums.len(), 2 * VARIANTS as usize, "each variant of each step has a checksum of its own");
        on_a_loop(async {
            for index in 0..2 * VARIANTS {
                assert_eq!(http.asynchronous(index).await, http.reference(index));
                assert_eq!(tcp.asynchronous(index).await, tcp.reference(index));
            }
        });
    }
}

#[test]
fn hundreds_in_flight_on_one_loop_all_get_their_own_answer() {
    let server = Server::start();
    let step = Arc::new(http_step(None, Connection::KeepAlive, Some(server.address)));
    on_a_loop(async {
        let tasks: Vec<_> = (0..300)
            .map(|index| {
                let step = Arc::clone(&step);
                tokio::spawn(async move { (index, step.asynchronous(index).await) })
            })
            .collect();
        for task in tasks {
            let (index, outcome) = task.await.expect("no panic");
            assert_eq!(outcome, step.reference(index));
        }
    });
}

#[test]
fn the_server_refuses_what_it_does_not_serve_and_keeps_the_connection() {
    let server = Server::start();
    let mut stream = over_http(&server);
    let mut lines = BufReader::new(stream.try_clone().expect("a handle"));
    let cases = [
        ("GET /?body_bytes=5&variant=2", "200 OK"),
        ("GET /?body_bytes=99999999999", "400 Bad Request"),
        ("GET /?delay_ns=soon", "400 Bad Request"),
        ("GET /?nothing=1", "400 Bad Request"),
        ("GET /elsewhere", "404 Not Found"),
        ("DELETE /", "405 Method Not Allowed"),
    ];
    for (request, status) in cases {
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        let mut line = String::new();
        lines.read_line(&mut line).expect("a status line");
        assert_eq!(line.trim_end(), format!("HTTP/1.1 {status}"), "{request}");
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            lines.read_line(&mut line).expect("a header");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut got = vec![0; length];
        lines.read_exact(&mut got).expect("a body");
        if status == "200 OK" {
            assert_eq!(got, body(2, 5));
        }
    }
}

#[test]
fn tcp_requests_may_be_pipelined_and_split_anywhere() {
    let server = Server::start();
    let mut stream = over_tcp(&server);
    let mut requests = Vec::new();
    for variant in 0..4_u64 {
        requests.extend(tcp_header(variant as u32 * 3000, 10, 1000, variant));
        requests.resize(requests.len() + variant as usize * 3000, 0xAA);
    }
    for piece in requests.chunks(777) {
        stream.write_all(piece).expect("sent");
    }
    let mut got = [0; 40];
    stream.read_exact(&mut got).expect("four answers");
    assert_eq!(got.to_vec(), (0..4).flat_map(|variant| body(variant, 10)).collect::<Vec<u8>>());
}

#[test]
fn the_server_survives_garbage_and_clients_that_leave() {
    let server = Server::start();
    for stream in [over_http(&server), over_tcp(&server)] {
        let mut stream = stream;
        stream.write_all(&[0xFF; 300]).expect("sent");
        let mut answer = Vec::new();
        // Refused or reset, but ended.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    }
    let mut silent = Vec::new();
    for _ in 0..100 {
        let (mut http, mut tcp) = (over_http(&server), over_tcp(&server));
        http.write_all(b"GET /?delay_ns=3600000000000 HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        tcp.write_all(&tcp_header(0, 1 << 20, 3_600_000_000_000, 0)).expect("sent");
        silent.push(over_tcp(&server));
    }
    let mut half = over_tcp(&server);
    half.write_all(&tcp_header(0, 4, 0, 9)).expect("sent");
    half.shutdown(Shutdown::Write).expect("half closed");
    let mut answer = Vec::new();
    half.read_to_end(&mut answer).expect("an answer");
    assert_eq!(answer, body(9, 4));
    let step = http_step(None, Connection::KeepAlive, Some(server.address));
    assert_eq!(step.blocking(5), step.reference(5));
}

#[test]
fn keep_alive_uses_one_connection_and_new_one_each() {
    for (connection, expected) in [(Connection::KeepAlive, 1), (Connection::New, 10)] {
        for is_async in [false, true] {
            let (port, connections) = peer(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec());
            let step = http_step(Some(format!("http://127.0.0.1:{port}/")), connection, None);
            on_a_loop(async {
                for index in 0..10 {
                    let outcome = if is_async { step.asynchronous(index).await } else { step.blocking(index) };
                    assert_eq!(outcome, step.reference(0));
                }
            });
            assert_eq!(connections.load(Ordering::SeqCst), expected, "{connection:?}, async: {is_async}");
        }
    }
}

#[test]
fn chunked_and_close_delimited_responses_are_read_to_their_end() {
    let (port, connections) = peer(|request| match request {
        0 => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec(),
        1 => b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
    });
    let step = http_step(Some(format!("http://127.0.0.1:{port}/")), Connection::KeepAlive, None);
    for index in 0..4 {
        assert_eq!(step.blocking(index), step.reference(index));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2, "the second response ended its connection");
}

#[test]
fn a_pooled_connection_that_the_peer_closed_is_replaced_once() {
    for is_async in [false, true] {
        // Every second request finds its connection closed under it.
        let (port, connections) = peer(|request| match request % 2 {
            0 => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
            _ => Vec::new(),
        });
        let step = http_step(Some(format!("http://127.0.0.1:{port}/")), Connection::KeepAlive, None);
        on_a_loop(async {
            for index in 0..3 {
                let outcome = if is_async { step.asynchronous(index).await } else { step.blocking(index) };
                assert_eq!(outcome, step.reference(0));
            }
        });
        assert_eq!(connections.load(Ordering::SeqCst), 3);
    }
    let (port, connections) = peer(|_| Vec::new());
    let step = http_step(Some(format!("http://127.0.0.1:{port}/")), Connection::KeepAlive, None);
    assert!(message(step.blocking(0)).contains("closed the connection"));
    assert_eq!(connections.load(Ordering::SeqCst), 1, "a new connection is not tried again");
}

#[test]
fn bad_answers_fail_the_task_with_the_reason() {
    let cases: [(&[u8], &str); 4] = [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "status is 503"),
        (b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", "status is 301"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nclose", "closed the connection"),
        (b"close your eyes\r\n", "not an HTTP/1.x response"),
    ];
    for (answer, reason) in cases {
        let (port, _) = peer(move |_| answer.to_vec());
        let step = http_step(Some(format!("http://127.0.0.1:{port}/")), Connection::KeepAlive, None);
        let blocking = message(step.blocking(0));
        assert!(blocking.contains(reason), "{blocking}");
        assert_eq!(on_a_loop(step.asynchronous(0)).map_err(|failed| failed.message), Err(blocking));
    }
}

#[test]
fn a_peer_that_does_not_answer_is_a_timeout_and_one_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let delay = Distribution::Fixed { time_ns: 0 };
    let connection = Connection::New;
    let job = job(Step::Http { url: Some(url), delay, body_bytes: 0, connection }, None, 20_000_000);
    let step = HttpStep::new(1, &job, &job.steps[0]).expect("a step");
    assert!(message(step.blocking(0)).contains("timeout of 20ms"));
    assert!(message(on_a_loop(step.asynchronous(0))).contains("timeout of 20ms"));
    // A port that is taken and refuses: bound, but not listened on.
    let taken =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).expect("a socket");
    rustix::net::bind(&taken, &std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address =
        std::net::SocketAddr::try_from(rustix::net::getsockname(&taken).expect("a name")).expect("an address");
    let url = Some(format!("http://{address}/"));
    let step = http_step(url, connection, None);
    assert!(message(step.blocking(0)).contains("nothing listens there"));
    assert!(message(on_a_loop(step.asynchronous(0))).contains("nothing listens there"));
}

/// The step of this job for a loop of smol.
fn http_on_smol(url: Option<String>, connection: Connection, timeout_ns: u64) -> HttpStep {
    let delay = Distribution::Fixed { time_ns: 0 };
    let described = job(Step::Http { url, delay, body_bytes: 0, connection }, None, timeout_ns);
    let job = Job { candidate: Candidate::new("rust", Engine::Smol, Sizes::default()), ..described };
    HttpStep::new(1, &job, &job.steps[0]).expect("a step")
}

#[test]
fn on_a_loop_of_smol_answers_are_those_of_the_reference() {
    let server = Server::start();
    let delay = Distribution::Fixed { time_ns: 200_000 };
    let candidate = Candidate::new("rust", Engine::Smol, Sizes::default());
    for connection in [Connection::KeepAlive, Connection::New] {
        let http = Step::Http { url: None, delay, body_bytes: 3000, connection };
        let tcp = Step::Tcp { address: None, delay, request_bytes: 5000, response_bytes: 3001, connection };
        let [http, tcp] = [http, tcp].map(|step| {
            let described = job(step, Some(server.address), 30_000_000_000);
            Job { candidate: candidate.clone(), ..described }
        });
        let http = Arc::new(HttpStep::new(1, &http, &http.steps[0]).expect("a step"));
        let tcp = TcpStep::new(2, &tcp, &tcp.steps[0]).expect("a step");
        let executor = smol::LocalExecutor::new();
        smol::block_on(executor.run(async {
            for index in 0..2 * VARIANTS {
                assert_eq!(tcp.asynchronous(index).await, tcp.reference(index));
            }
            let ask = |index| {
                let http = Arc::clone(&http);
                executor.spawn(async move { http.asynchronous(index).await })
            };
            for (index, asked) in (0..100).map(ask).collect::<Vec<_>>().into_iter().enumerate() {
                assert_eq!(asked.await, http.reference(index as u64));
            }
        }));
    }
}

#[test]
fn on_a_loop_of_smol_connections_are_kept_and_faults_are_told_as_elsewhere() {
    let cases = [(Connection::KeepAlive, false, 1), (Connection::KeepAlive, true, 3), (Connection::New, false, 3)];
    for (connection, is_closed, expected) in cases {
        // Every second request finds its connection closed under it, where that is so.
        let (port, connections) = peer(move |request| match request % 2 {
            1 if is_closed => Vec::new(),
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
        });
        let step = http_on_smol(Some(format!("http://127.0.0.1:{port}/")), connection, 30_000_000_000);
        for index in 0..3 {
            assert_eq!(smol::block_on(step.asynchronous(index)), step.reference(0));
        }
        assert_eq!(connections.load(Ordering::SeqCst), expected, "{connection:?}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let step = http_on_smol(Some(url), Connection::New, 20_000_000);
    assert!(message(smol::block_on(step.asynchronous(0))).contains("timeout of 20ms"));
    drop(listener);
    assert!(message(smol::block_on(step.asynchronous(0))).contains("nothing listens there"));
}

#[test]
fn a_step_that_cannot_be_set_up_says_why() {
    let delay = Distribution::Fixed { time_ns: 0 };
    let connection = Connection::KeepAlive;
    let http = |url: Option<&str>, body_bytes| {
        let step = Step::Http { url: url.map(str::to_owned), delay, body_bytes, connection };
        let job = job(step, Some(ServerAddress { http_port: 1, tcp_port: 1, pid: 1 }), 1);
        HttpStep::new(1, &job, &job.steps[0]).err().map(|failed| failed.message).unwrap_or_default()
    };
    assert!(http(Some("https://localhost/"), 0).contains("only plain HTTP/1.1"));
    assert!(http(Some("http://no-such-host.invalid/"), 0).contains("cannot resolve"));
    assert!(http(None, u64::MAX).contains("larger than"));
    let tcp = |address: Option<&str>, request_bytes, response_bytes| {
        let address = address.map(str::to_owned);
        let job = job(Step::Tcp { address, delay, request_bytes, response_bytes, connection }, None, 1);
        TcpStep::new(1, &job, &job.steps[0]).err().map(|failed| failed.message).unwrap_or_default()
    };
    assert!(tcp(None, 1, 1).contains("no embedded server"));
    assert!(tcp(None, 1, 0).contains("at least one"));
    assert!(tcp(Some("localhost"), 1, 1).contains("not `host:port`"));
}
