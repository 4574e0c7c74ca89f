//! The program as it is used: two processes and what they print.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
};

use serde_json::{Map, Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rapport-loadtest");

/// A floor that stands in for a server; it ends with this value.
struct Floor {
    address: String,
    child: Child,
    answer: PathBuf,
}

impl Floor {
    fn answering(name: &str, answer: &str) -> Self {
        let file = std::env::temp_dir().join(format!("rapport-cli-{}-{name}", std::process::id()));
        fs::write(&file, answer).expect("a temporary file");
        let mut child = Command::new(PROGRAM)
            .args(["floor", "--workers", "1", "--answer"])
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("an output");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        Self { address, child, answer: file }
    }

    fn measure(&self, arguments: &[&str]) -> Output {
        measure(&self.address, arguments)
    }
}

fn measure(address: &str, arguments: &[&str]) -> Output {
    let (command, rest) = arguments.split_first().expect("a command");
    Command::new(PROGRAM)
        .args([command, "--target", address, "--key", "pk_test", "--threads", "1"])
        .args(rest)
        .output()
        .expect("runs")
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.answer);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const ITEMS: &str = r#"{"request_id":"r","served_by":"popular","items":[{"item_id":"22386"},{"item_id":"85123A"}]}"#;

#[test]
fn a_floor_compared_with_its_own_floor_is_alike() {
    let floor = Floor::answering("compare", ITEMS);
    let arguments = [
        "compare",
        "--scenario",
        "also-bought",
        "--workers",
        "1",
        "--rates",
        "100,200",
        "--duration",
        "1s",
        "--warmup",
        "300ms",
        "--probe",
        "300ms",
        "--max-rate",
        "300",
        "--connections",
        "8",
    ];
    let output = floor.measure(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    for cell in ["| also-bought | target | 100 |", "| also-bought | floor | 200 |", "Machine: ", "p99 ≤ 50 ms"] {
        assert!(table.contains(cell), "no `{cell}` in\n{table}");
    }

    let output = floor.measure(&[&arguments[..], &["--half", "--json"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = report["comparisons"][0]["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 6);
    let maximum = report["comparisons"][0]["maximum"]["target_per_second"].as_f64().expect("a rate");
    assert_eq!(rows[5]["rate"], (maximum / 2.0).round());
    for row in rows {
        assert_eq!(row["figures"]["errors"], 0, "{row}");
    }
    assert_eq!(report["comparisons"][0]["answer_bytes"], ITEMS.len());
}

#[test]
fn a_floor_costs_what_its_own_floor_costs() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let floor = Floor::answering("cost", ITEMS);
    let pid = floor.child.id().to_string();
    let arguments =
        ["cost", "--pid", &pid, "--scenario", "also-bought", "--round", "300ms", "--rounds", "2", "--connections", "4"];
    let output = floor.measure(&[&arguments[..], &["--json"]].concat());
    if cores < 2 {
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("needs one of its own"), "{}", text(&output.stderr));
        return;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for side in ["target", "floor"] {
        let turns = report["costs"][0][side].as_array().expect("turns");
        assert_eq!(turns.len(), 2, "{report}");
        assert!(turns.iter().all(|turn| turn["requests"].as_u64() > Some(0)), "{report}");
    }

    let output = floor.measure(&["cost", "--pid", "4194305", "--scenario", "also-bought"]);
    assert_eq!(output.status.code(), Some(1), "no process has that number");
}

#[test]
fn an_answer_that_is_no_decision_is_not_measured() {
    let floor = Floor::answering("nonsense", r#"{"request_id":"r"}"#);
    let output = floor.measure(&["compare", "--scenario", "also-bought", "--no-max"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot be measured"), "{}", text(&output.stderr));
}

#[test]
fn a_single_run_prints_its_figures() {
    let floor = Floor::answering("run", r#"{"results":{"a":{"result":"ok"}}}"#);
    let arguments = ["run", "--scenario", "beacon-1", "--rate", "200", "--duration", "1s", "--warmup", "200ms", "--json"];
    let output = floor.measure(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let figures: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(figures["requests"], 200);

    // Twenty events and one acknowledgement: nineteen are lost, and every request is an error.
    let output = floor.measure(&["run", "--scenario", "beacon-20", "--rate", "50", "--duration", "1s", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let figures: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(figures["tally"]["unacknowledged"], 50);
}

#[test]
fn the_check_fails_on_what_does_not_add_up() {
    let floor = Floor::answering("check", ITEMS);
    let output = floor.measure(&["check", "--seconds", "1", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let finding: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(finding["passed"], false);
    assert!(finding["figures"]["tally"]["shape"].as_u64() > Some(0), "{finding}");
    assert_eq!(finding["figures"]["tally"]["status_5xx"], 0);
}

/// A server that answers as the contract says, but forgets every `forgets`-th event's result.
fn serve(forgets: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer_all(stream, forgets));
        }
    });
    address
}

fn answer_all(mut stream: TcpStream, forgets: usize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut seen = 0;
    loop {
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if path.is_empty() {
                line.split(' ').nth(1)?.clone_into(&mut path);
            }
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut results = Map::new();
        for event in body["events"].as_array().into_iter().flatten() {
            seen += 1;
            if seen % forgets != 0 {
                results.insert(event["id"].as_str()?.to_owned(), json!({"result": "ok"}));
            }
        }
        let one: Value = serde_json::from_str(ITEMS).ok()?;
        let answer = if path.starts_with("/v1/events") {
            json!({"results": results})
        } else if path.starts_with("/v1/decide") {
            json!({"request_id": "r", "placements": {"for-you": one}, "events": {"results": results}})
        } else {
            one
        };
        let (answer, head) = (answer.to_string(), "HTTP/1.1 200 OK\r\ncontent-length");
        stream.write_all(format!("{head}: {}\r\n\r\n{answer}", answer.len()).as_bytes()).ok()?;
    }
}

#[test]
fn the_check_counts_every_event_back() {
    let output = measure(&serve(usize::MAX), &["check", "--seconds", "2", "--json"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let finding: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(finding["figures"]["results"]["ok"].as_u64() > Some(200), "{finding}");

    let output = measure(&serve(50), &["check", "--seconds", "2", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let finding: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(finding["figures"]["tally"]["unacknowledged"].as_u64() > Some(0), "{finding}");
}

/// Half a second of two kinds of requests, an order in the middle, and limits that hold.
fn traffic_file(name: &str, change: impl Fn(String) -> String) -> PathBuf {
    let traffic = r#"{
        "name": "small", "description": "two kinds", "connections": 4,
        "arrivals": [{ "seconds": 0.5, "rate": 0, "to": 200 }, { "seconds": 0.5, "rate": 200 }],
        "requests": [{ "scenario": "also-bought", "weight": 1 }, { "scenario": "beacon-1", "weight": 1 },
                     { "scenario": "catalog-upsert", "weight": 1 }],
        "visitors": { "regulars": 10, "returning": 0.5, "pages": 3 },
        "at": [{ "seconds": 0.5, "run": "true" }],
        "limits": { "p99_ms": 5000, "error_share": 0, "status_5xx": 0 }
    }"#;
    let file = std::env::temp_dir().join(format!("rapport-cli-{}-{name}.json", std::process::id()));
    fs::write(&file, change(traffic.to_owned())).expect("a temporary file");
    file
}

#[test]
fn traffic_is_played_to_both_judged_and_shown() {
    let address = serve(usize::MAX);
    let (file, page) = (traffic_file("traffic", |text| text), std::env::temp_dir().join("rapport-cli-page.html"));
    let [file_name, page_name] = [&file, &page].map(|path| path.to_str().expect("text"));
    let arguments = ["traffic", "--traffic", file_name, "--vs-floor", "--workers", "1", "--check", "--html", page_name, "--json"];
    let output = measure(&address, &arguments);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let findings: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(findings["missed"], json!([]));
    assert_eq!(findings["orders"][0]["ended"], "ok");
    assert!(findings["notes"][0].as_str().is_some_and(|note| note.contains("--secret-key")), "{}", findings["notes"]);
    for side in findings["sides"].as_array().expect("sides") {
        let (all, kinds) = (&side["all"], side["kinds"].as_array().expect("kinds"));
        let requests = all["requests"].as_u64().expect("a number");
        // 150 are meant; Poisson's standard deviation is 12.
        assert!((100..200).contains(&requests), "{side}");
        assert_eq!(kinds.iter().filter_map(|kind| kind["requests"].as_u64()).sum::<u64>(), requests);
        assert_eq!(all["errors"], 0, "{side}");
    }
    assert_eq!(findings["sides"].as_array().map(Vec::len), Some(2));
    let html = fs::read_to_string(&page).expect("the page");
    assert!(html.contains("All limits held.") && html.contains("</html>"));
    for path in [file, page] {
        fs::remove_file(path).expect("removed");
    }
}

#[test]
fn traffic_that_misses_a_limit_ends_with_one_and_says_which() {
    let file = traffic_file("missed", |text| text.replace("\"p99_ms\": 5000", "\"p99_ms\": 0.000001"));
    let file_name = file.to_str().expect("text");
    // The server lists no event, so that what it acknowledged counts as lost.
    let arguments = ["traffic", "--traffic", file_name, "--kept", "true", "--at", "0.2=exit 3"];
    let output = measure(&serve(usize::MAX), &[&arguments[..], &["--check"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    for part in ["MISSED: beacon-1: p99", "acknowledged events were not kept", "MISSED: `exit 3`"] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    assert!(measure(&serve(usize::MAX), &arguments).status.success(), "without --check it only says so");
    fs::remove_file(file).expect("removed");
}

#[test]
fn beacons_are_compared_with_a_floor_that_appends() {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return; // refused there, as the test of `cost` shows
    }
    let floor = Floor::answering("append", r#"{"results":{"a":{"result":"ok"}}}"#);
    let folder = std::env::temp_dir();
    let (pid, folder) = (floor.child.id().to_string(), folder.to_str().expect("text"));
    let output = floor.measure(&[
        "cost",
        "--pid",
        &pid,
        "--scenario",
        "beacon-1",
        "--append",
        folder,
        "--round",
        "200ms",
        "--rounds",
        "1",
        "--connections",
        "4",
        "--json",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(report["costs"][0]["append"][0]["requests"].as_u64() > Some(0), "{report}");
}

#[test]
fn profiles_are_made_from_visits_and_every_event_is_acknowledged() {
    let file = std::env::temp_dir().join(format!("rapport-cli-{}-visits", std::process::id()));
    fs::write(&file, "1 2 3\n4\n").expect("a temporary file");
    let arguments = ["profiles", "--visits", file.to_str().expect("text"), "--count", "50", "--connections", "1", "--json"];
    let output = measure(&serve(usize::MAX), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&made["profiles"], &made["events"]), (&json!(50), &json!(100)));
    assert_eq!(measure(&serve(30), &arguments).status.code(), Some(1), "an event was not acknowledged");
    fs::remove_file(file).expect("removed");
}

#[test]
fn wrong_usage_is_exit_code_two() {
    let output = Command::new(PROGRAM).args(["run", "--rate", "0"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
}
