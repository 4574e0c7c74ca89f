//! Consent: what is kept of whom, and who may use it.

use serde_json::{Value, json};

use crate::support::server::{Answer, Server};

fn view(id: &str, item: &str) -> Value {
    json!({"id": id, "type": "view_item", "items": [{"item_id": item}]})
}

fn all() -> Value {
    json!({"analytics": true, "personalization": true})
}

/// A shop that knows a few items, with a publishable and a secret key.
fn shop(settings: &[(&str, &str)]) -> (Server, String, String) {
    let server = Server::start_with(settings);
    let (page, secret) = (server.key("publishable", &[]), server.key("secret", &[]));
    let items: Vec<Value> = ["mug", "tea", "kite", "rope"].iter().map(|id| json!({"item_id": id, "title": id})).collect();
    assert_eq!(server.post("/v1/catalog/items", &secret, &items.into()).json()["stored"], 4);
    (server, page, secret)
}

fn post(server: &Server, key: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let authorization = format!("Bearer {key}");
    let mut all = vec![("Authorization", authorization.as_str())];
    all.extend(headers);
    let answer = server.send("POST", "/v1/events", &all, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

#[track_caller]
fn fate(answer: &Answer, id: &str) -> (String, String) {
    let result = &answer.json()["results"][id];
    let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
    (text("result"), text("code"))
}

fn is(result: &str, code: &str) -> (String, String) {
    (result.to_owned(), code.to_owned())
}

fn exported(server: &Server) -> Vec<Value> {
    server.run(&["export", "--events"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns what the page you made shows to this caller.
fn recent(server: &Server, key: &str, headers: &[(&str, &str)], query: &str) -> Vec<String> {
    let authorization = format!("Bearer {key}");
    let mut all = vec![("Authorization", authorization.as_str())];
    all.extend(headers);
    let answer = server.send("GET", &format!("/v1/recommendations/recently-viewed?{query}"), &all, b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("set-cookie"), None);
    answer.json()["items"].as_array().unwrap().iter().map(|i| i["item_id"].as_str().unwrap().to_owned()).collect()
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned()
}

#[test]
fn without_consent_nothing_is_kept() {
    let (server, page, secret) = shop(&[]);
    for (n, consent) in [
        json!(null),
        json!({}),
        json!({"analytics": false, "personalization": false}),
        json!({"marketing": true, "sale_share": true}),
        json!({"ad_user_data": "granted"}),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("n{n}");
        let answer = post(&server, &page, &[], &json!({"consent": consent, "events": [view(&id, "mug")]}));
        assert_eq!(fate(&answer, &id), is("drop", "no_consent"), "{consent}");
        assert_eq!(answer.header("set-cookie"), None, "{consent}");
        let answer = post(&server, &secret, &[], &json!({"visitor_id": "v", "consent": consent, "events": [view(&id, "mug")]}));
        assert_eq!(fate(&answer, &id), is("drop", "no_consent"), "{consent}");
    }
    assert_eq!(exported(&server), Vec::<Value>::new());
    assert_eq!(recent(&server, &secret, &[], "visitor_id=v"), Vec::<String>::new());
}

#[test]
fn analytics_alone_is_logged_and_not_remembered() {
    let (server, page, _) = shop(&[]);
    let answer = post(&server, &page, &[], &json!({"consent": {"analytics": true}, "events": [view("a", "mug")]}));
    assert_eq!(fate(&answer, "a"), is("ok", ""));
    let cookie = cookie(&answer);
    assert_eq!(recent(&server, &page, &[("Cookie", &cookie)], ""), Vec::<String>::new());
    let log = exported(&server);
    assert_eq!(log.len(), 1);
    assert_eq!((&log[0]["consent"]["analytics"], &log[0]["consent"]["personalization"]), (&json!(true), &json!(false)));
    // Personalization alone opens the log as well.
    let answer = post(&server, &page, &[], &json!({"consent": {"personalization": true}, "events": [view("b", "tea")]}));
    assert_eq!(recent(&server, &page, &[("Cookie", &self::cookie(&answer))], ""), ["tea"]);
}

#[test]
fn the_privacy_signal_denies() {
    let batch =
        json!({"consent": {"analytics": true, "personalization": true, "sale_share": true}, "events": [view("a", "mug")]});
    for (setting, personalization) in [("true", false), ("false", true)] {
        let (server, page, _) = shop(&[("RAPPORT_CONSENT__GPC_DENIES_PERSONALIZATION", setting)]);
        let answer = post(&server, &page, &[("Sec-GPC", "1")], &batch);
        let consent = &exported(&server)[0]["consent"];
        assert_eq!((&consent["personalization"], &consent["sale_share"]), (&json!(personalization), &json!(false)), "{setting}");
        let cookie = cookie(&answer);
        assert_eq!(recent(&server, &page, &[("Cookie", &cookie)], "").is_empty(), !personalization, "{setting}");
    }
    // What was remembered before the signal is not used while it is set.
    let (server, page, _) = shop(&[]);
    let cookie = cookie(&post(&server, &page, &[], &batch));
    assert_eq!(recent(&server, &page, &[("Cookie", &cookie)], ""), ["mug"]);
    assert!(recent(&server, &page, &[("Cookie", &cookie), ("Sec-GPC", "1")], "").is_empty());
    assert_eq!(recent(&server, &page, &[("Cookie", &cookie), ("Sec-GPC", "0")], ""), ["mug"]);
}

#[test]
fn silence_means_what_the_policy_says() {
    let (server, page, _) = shop(&[("RAPPORT_CONSENT__ANALYTICS", "true")]);
    let answer = post(&server, &page, &[], &json!({"events": [view("a", "mug")]}));
    assert_eq!(fate(&answer, "a"), is("ok", ""));
    let answer = post(&server, &page, &[], &json!({"consent": {"analytics": false}, "events": [view("b", "mug")]}));
    assert_eq!(fate(&answer, "b"), is("drop", "no_consent"));
    let consent = &exported(&server)[0]["consent"];
    assert_eq!((&consent["analytics"], &consent["personalization"], &consent["at"]), (&json!(true), &json!(false), &Value::Null));
}

#[test]
fn an_event_speaks_for_itself() {
    let (server, _, secret) = shop(&[]);
    let with = |mut event: Value, consent: Value| {
        event["consent"] = consent;
        event
    };
    let none = json!({"analytics": false, "personalization": false});
    let events = [
        with(view("granted", "mug"), all()),
        view("denied", "tea"),
        with(view("part", "kite"), json!({"personalization": true})),
    ];
    let answer = post(&server, &secret, &[], &json!({"visitor_id": "one", "consent": none, "events": events}));
    assert_eq!(fate(&answer, "granted"), is("ok", ""));
    assert_eq!(fate(&answer, "denied"), is("drop", "no_consent"));
    assert_eq!(fate(&answer, "part"), is("ok", ""));
    let events = [with(view("withdrawn", "rope"), none), view("kept", "tea")];
    let answer = post(&server, &secret, &[], &json!({"visitor_id": "two", "consent": all(), "events": events}));
    assert_eq!(fate(&answer, "withdrawn"), is("drop", "no_consent"));
    assert_eq!(fate(&answer, "kept"), is("ok", ""));
}

#[test]
fn googles_words_mean_ours() {
    let (server, page, _) = shop(&[]);
    let google = json!({"analytics_storage": "granted", "personalization_storage": "denied", "ad_user_data": "granted",
        "ad_personalization": "denied", "ad_storage": "granted"});
    post(&server, &page, &[], &json!({"consent": google, "events": [view("a", "mug")]}));
    let google = json!({"analytics_storage": "denied", "personalization_storage": "granted", "ad_user_data": "granted",
        "ad_personalization": "granted"});
    post(&server, &page, &[], &json!({"consent": google, "events": [view("b", "mug")]}));
    let purposes = ["analytics", "personalization", "marketing", "sale_share"];
    let granted: Vec<Vec<bool>> =
        exported(&server).iter().map(|e| purposes.iter().map(|p| e["consent"][p].as_bool().unwrap()).collect()).collect();
    assert_eq!(granted, [[true, false, false, false], [false, true, true, true]]);
}

/// Sends one event of the visitor `v`, with the consent said at the hour, for the whole batch or by the event itself.
fn say(server: &Server, secret: &str, id: &str, granted: bool, hour: u32, by_event: bool) -> (String, String) {
    let consent = json!({"analytics": granted, "personalization": granted, "at": format!("2026-01-01T{hour:02}:00:00Z")});
    let mut event = view(id, "mug");
    let body = if by_event {
        event["consent"] = consent;
        event["visitor_id"] = "v".into();
        json!({"events": [event]})
    } else {
        json!({"visitor_id": "v", "consent": consent, "events": [event]})
    };
    fate(&post(server, secret, &[], &body), id)
}

#[test]
fn a_late_batch_does_not_undo_a_withdrawal() {
    for by_event in [false, true] {
        let (mut server, _, secret) = shop(&[]);
        let say = |server: &Server, id: &str, granted, hour| say(server, &secret, id, granted, hour, by_event);
        assert_eq!(say(&server, "a", true, 10), is("ok", ""));
        assert_eq!(recent(&server, &secret, &[], "visitor_id=v"), ["mug"]);
        assert_eq!(say(&server, "b", false, 12), is("drop", "no_consent"));
        assert!(recent(&server, &secret, &[], "visitor_id=v").is_empty(), "by event: {by_event}");
        assert_eq!(say(&server, "c", true, 11), is("drop", "no_consent"), "by event: {by_event}");
        // Said again, or after a restart, it is the same.
        assert_eq!(say(&server, "d", false, 12), is("drop", "no_consent"));
        server.kill();
        server.restart();
        assert_eq!(say(&server, "e", true, 11), is("drop", "no_consent"), "by event: {by_event}");
        let log = exported(&server);
        let kinds: Vec<&str> = log.iter().map(|e| e["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["view_item", "consent_update"], "the withdrawal is on record, once");
        assert_eq!(log[1]["consent"]["at"], "2026-01-01T12:00:00.000000Z");
        assert_eq!(log[1]["consent"]["analytics"], false);
        // Who agrees anew is remembered anew.
        assert_eq!(say(&server, "f", true, 13), is("ok", ""));
        assert_eq!(recent(&server, &secret, &[], "visitor_id=v"), ["mug"]);
    }
}

#[test]
fn decisions_need_no_consent() {
    let (server, page, _) = shop(&[]);
    let body =
        json!({"context": {"viewed": ["kite", "tea"]}, "events": [view("a", "mug")], "placements": [{"id": "recently-viewed"}]});
    let answer = server.post("/v1/decide", &page, &body);
    assert_eq!(answer.header("set-cookie"), None);
    let answer = answer.json();
    let shown: Vec<&str> = answer["placements"]["recently-viewed"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["item_id"].as_str().unwrap())
        .collect();
    assert_eq!(shown, ["mug", "kite", "tea"], "what the page itself says, the latest first");
    assert_eq!(answer["events"]["results"]["a"], json!({"result": "drop", "code": "no_consent"}));
    assert!(exported(&server).is_empty());
}

#[test]
fn history_needs_proof_of_who_it_is() {
    let (server, page, secret) = shop(&[]);
    let batch = json!({"visitor_id": "bare", "consent": all(), "events": [view("a", "mug")]});
    let answer = post(&server, &page, &[], &batch);
    assert_eq!(fate(&answer, "a"), is("ok", ""), "it may be written for");
    assert!(recent(&server, &page, &[], "visitor_id=bare").is_empty(), "anybody could say that id");
    assert_eq!(recent(&server, &secret, &[], "visitor_id=bare"), ["mug"]);
    let answer = post(&server, &page, &[], &json!({"consent": all(), "events": [view("b", "tea"), view("c", "kite")]}));
    let cookie = cookie(&answer);
    assert_eq!(recent(&server, &page, &[("Cookie", &cookie)], "visitor_id=bare"), ["kite", "tea"]);
    assert!(recent(&server, &page, &[], "").is_empty());
}

#[test]
fn the_cookie_is_minted_once_and_cannot_be_made_up() {
    let (server, page, secret) = shop(&[]);
    let send = |headers: &[(&str, &str)], key: &str, id: &str| {
        post(
            &server,
            key,
            headers,
            &json!({"visitor_id": if id == "d" { "said" } else { "" }, "consent": all(), "events": [view(id, "mug")]}),
        )
    };
    let first = send(&[], &page, "a");
    let set = first.header("set-cookie").unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000"] {
        assert!(set.contains(part), "{set}");
    }
    let cookie = cookie(&first);
    assert_eq!(send(&[("Cookie", &cookie)], &page, "b").header("set-cookie"), None);
    // One letter changed anywhere, and it is nobody's: a new visitor begins.
    for at in [cookie.find('=').unwrap() + 3, cookie.len() - 1] {
        let mut tampered = cookie.clone().into_bytes();
        tampered[at] = if tampered[at] == b'0' { b'1' } else { b'0' };
        let tampered = String::from_utf8(tampered).unwrap();
        assert!(recent(&server, &page, &[("Cookie", &tampered)], "").is_empty());
        let answer = send(&[("Cookie", &tampered)], &page, &format!("c{at}"));
        assert_ne!(self::cookie(&answer), cookie);
    }
    send(&[("Cookie", &cookie)], &page, "d");
    assert_eq!(send(&[("Cookie", &cookie)], &secret, "d2").json()["results"]["d2"]["code"], "missing_visitor");
    let log = exported(&server);
    let who = |id: &str| log.iter().find(|e| e["id"] == id).unwrap()["visitor_id"].as_str().unwrap().to_owned();
    assert_eq!(who("a").len(), 32, "128 random bits");
    assert_eq!(who("b"), who("a"));
    assert_eq!(who("d"), who("a"), "the cookie wins over the body");
    // A server names whom it means, whatever cookie it forwards.
    let said = json!({"visitor_id": "said", "consent": all(), "events": [view("e", "mug")]});
    post(&server, &secret, &[("Cookie", &cookie)], &said);
    assert_eq!(exported(&server).iter().find(|e| e["id"] == "e").unwrap()["visitor_id"], "said");
    // Who withdraws loses the cookie.
    let answer =
        post(&server, &page, &[("Cookie", &cookie)], &json!({"consent": {"analytics": false, "personalization": false}}));
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
}
