//! The OpenAPI document says what the server does, and the page that shows it is there.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::support::server::{Answer, Server, send};

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

fn document(server: &Server) -> Value {
    let answer = server.get("/openapi.json");
    assert_eq!(answer.status, 200);
    answer.json()
}

/// Returns every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &'_ Value)| -> Vec<(String, String)> {
        METHODS.iter().filter(|m| item.get(**m).is_some()).map(|m| ((*m).to_owned(), path.clone())).collect()
    };
    paths.iter().flat_map(of).map(|(method, path)| (method.clone(), path.clone(), &paths[&path][&method])).collect()
}

/// Returns what a reference points to; anything else as it is.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        None => value,
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads elsewhere"));
            let target = document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
            resolve(document, target)
        }
    }
}

/// Returns the methods and paths that a source file registers.
fn registered(source: &str) -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    let mut path = String::new();
    for part in source.split("resource(\"").skip(1) {
        let (name, rest) = part.split_once('"').unwrap();
        path.clear();
        path.push_str(name);
        for method in rest.split("web::").skip(1) {
            if let Some(method) = METHODS.iter().find(|m| method.starts_with(&format!("{m}()"))) {
                routes.insert(((*method).to_owned(), path.clone()));
            }
        }
    }
    routes
}

#[test]
fn the_document_and_the_server_have_the_same_routes() {
    let server = Server::start();
    let document = document(&server);
    let documented: BTreeSet<(String, String)> = operations(&document).into_iter().map(|(m, p, _)| (m, p)).collect();
    let sources = [include_str!("../../src/http.rs"), include_str!("../../src/http/health.rs")];
    let mut real: BTreeSet<(String, String)> = sources.iter().flat_map(|source| registered(source)).collect();
    assert!(real.len() > 15, "the routes can be read out of the source: {real:?}");
    real.insert(("get".to_owned(), "/sdk/{version}/{file}".to_owned()));
    assert_eq!(documented, real);

    for (method, path, operation) in operations(&document) {
        let parameters = document["paths"][&path]["parameters"].as_array().into_iter().flatten();
        let mut address = path.clone();
        for parameter in parameters.chain(operation["parameters"].as_array().unwrap()) {
            let parameter = resolve(&document, parameter);
            if parameter["in"] == "path" {
                let name = parameter["name"].as_str().unwrap();
                address = address.replace(&format!("{{{name}}}"), parameter["example"].as_str().unwrap());
            }
        }
        let to = if document["paths"][&path].get("servers").is_some() { server.admin } else { server.address };
        let answer = send(to, &method.to_uppercase(), &address, &[], b"").unwrap();
        let code = if answer.status >= 400 { answer.problem() } else { String::new() };
        assert!(!matches!(code.as_str(), "not_found" | "method_not_allowed"), "{method} {address}: {}", answer.text());
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(document: &Value, value: &Value, seen: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                    resolve(document, value);
                    seen.insert(reference.to_owned());
                }
                map.values().for_each(|child| walk(document, child, seen));
            }
            Value::Array(list) => list.iter().for_each(|child| walk(document, child, seen)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document(&Server::start());
    let mut seen = BTreeSet::new();
    walk(&document, &document, &mut seen);
    for kind in ["schemas", "parameters", "responses", "headers"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(seen.contains(&format!("#/components/{kind}/{name}")), "nothing uses {kind}/{name}");
        }
    }
}

#[test]
fn everything_is_explained_and_every_example_is_valid() {
    let document = document(&Server::start());
    let names = |list: &str, field: &str| -> BTreeSet<String> {
        document[list].as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
    };
    let (tags, codes) = (names("tags", "name"), names("x-problem-codes", "code"));
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{place}");
        for word in ["summary", "description"] {
            assert!(operation[word].as_str().is_some_and(|text| !text.is_empty()), "{place} has no {word}");
        }
        assert!(operation["tags"].as_array().unwrap().iter().all(|tag| tags.contains(tag.as_str().unwrap())), "{place}");
        for scheme in operation["security"].as_array().unwrap().iter().flat_map(|s| s.as_object().unwrap().keys()) {
            assert!(document["components"]["securitySchemes"].get(scheme).is_some(), "{place}: {scheme}");
        }
        for parameter in operation["parameters"].as_array().unwrap() {
            let parameter = resolve(&document, parameter);
            assert!(parameter["description"].as_str().is_some_and(|t| !t.is_empty()), "{place}: {parameter}");
        }
        let body = operation["requestBody"]["content"].as_object().into_iter().flatten();
        for (kind, media) in body.filter(|(_, media)| media.get("example").is_some()) {
            check(&document, &media["schema"], &media["example"], &format!("{place} body {kind}"));
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response = resolve(&document, response);
            let place = format!("{place} {status}");
            assert!(response["description"].as_str().is_some_and(|t| !t.is_empty()), "{place}");
            let contents = response["content"].as_object();
            if status.as_str() >= "400" {
                assert_eq!(contents.unwrap().keys().collect::<Vec<_>>(), ["application/problem+json"], "{place}");
                let listed = response["x-codes"].as_array().unwrap();
                assert!(
                    !listed.is_empty() && listed.iter().all(|code| codes.contains(code.as_str().unwrap())),
                    "{place}: {listed:?}"
                );
                for (code, example) in contents.unwrap()["application/problem+json"]["examples"].as_object().unwrap() {
                    let problem = &resolve(&document, example)["value"];
                    check(&document, &json!({"$ref": "#/components/schemas/Problem"}), problem, &format!("{place} {code}"));
                    assert_eq!(problem["status"].to_string(), *status, "{place} {code}");
                }
            } else if let Some((kind, media)) = contents.and_then(|c| c.iter().find(|(_, media)| media.get("example").is_some()))
            {
                check(&document, &media["schema"], &media["example"], &format!("{place} {kind}"));
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if let Some(example) = schema.get("example") {
            check(&document, schema, example, name);
        }
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let explained = property.get("description").or_else(|| resolve(&document, property).get("description"));
            assert!(explained.is_some(), "{name}.{field} is not explained");
        }
    }
}

#[test]
fn real_answers_are_as_documented() {
    let server = Server::start();
    let document = document(&server);
    let (secret, public) = (server.key("secret", &[]), server.key("publishable", &[]));
    let bearer = format!("Bearer {secret}");
    let call = |method: &str, address: &str, body: &str| {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        server.send(method, address, &headers, body.as_bytes())
    };
    let is = |answer: &Answer, method: &str, path: &str| -> Value {
        let place = format!("{method} {path} {}", answer.status);
        let responses = &document["paths"][path][method]["responses"];
        let response =
            resolve(&document, responses.get(answer.status.to_string()).unwrap_or_else(|| panic!("{place}: {}", answer.text())));
        let Some(contents) = response["content"].as_object() else {
            assert!(answer.body.is_empty(), "{place}");
            return Value::Null;
        };
        let kind = answer.header("content-type").unwrap().split(';').next().unwrap();
        let media = contents.get(kind).unwrap_or_else(|| panic!("{place} is {kind}"));
        let value = answer.json();
        check(&document, &media["schema"], &value, &place);
        if answer.status >= 400 {
            assert!(response["x-codes"].as_array().unwrap().contains(&value["code"]), "{place}: {value}");
        }
        value
    };

    // The document's own examples work, as they stand.
    let example = |path: &str, method: &str| {
        document["paths"][path][method]["requestBody"]["content"]["application/json"]["example"].to_string()
    };
    let events = is(&call("POST", "/v1/events", &example("/v1/events", "post")), "post", "/v1/events");
    assert!(events["results"].as_object().unwrap().values().all(|r| r["result"] == "ok"), "{events}");
    let mixed = json!({"consent": {"analytics": true}, "visitor_id": "v", "events": [
        {"id": "a", "type": "page_view"}, {"id": "b", "type": "view_item"}, {"type": "page_view"}, 7]});
    let mixed = is(&server.post("/v1/events", &public, &mixed), "post", "/v1/events");
    assert_eq!((&mixed["results"]["b"]["code"], mixed["errors"].as_array().unwrap().len()), (&json!("missing_items"), 2));
    for name in ["track", "identify", "page", "batch"] {
        let path = format!("/v1/segment/{name}");
        let answer = is(&call("POST", &path, &example(&path, "post")), "post", &path);
        assert!(answer["results"].as_object().unwrap().values().all(|r| r["result"] != "drop"), "{answer}");
    }
    let upsert = is(&call("POST", "/v1/catalog/items", &example("/v1/catalog/items", "post")), "post", "/v1/catalog/items");
    assert_eq!(upsert["stored"], 2, "{upsert}");
    let wrong = r#"[{"item_id": "x", "availabilty": "in_stock"}, 7, {"item_id": "old", "revision": 2}, {"item_id": "old", "revision": 1}]"#;
    let wrong = is(&call("POST", "/v1/catalog/items", wrong), "post", "/v1/catalog/items");
    assert_eq!((&wrong["rejected"], &wrong["stale"]), (&json!(2), &json!(1)), "{wrong}");
    let item = "/v1/catalog/items/{item_id}";
    is(&call("PUT", "/v1/catalog/items/22386", &example(item, "put")), "put", item);
    let read = call("GET", "/v1/catalog/items/22386", "");
    is(&read, "get", item);
    assert!(read.header("etag").unwrap().starts_with('"'));
    is(&call("PUT", "/v1/catalog/items/22386", r#"{"colour": "pink"}"#), "put", item);
    is(&call("GET", "/v1/catalog/items/nothing", ""), "get", item);
    is(&call("DELETE", "/v1/catalog/items/old", ""), "delete", item);
    let stale = [("Authorization", bearer.as_str()), ("If-Match", "\"999999\"")];
    is(&server.send("DELETE", "/v1/catalog/items/22386", &stale, b""), "delete", item);
    is(&call("GET", "/v1/catalog/items?limit=1", ""), "get", "/v1/catalog/items");
    is(&server.get(&format!("/v1/catalog/items?key={public}")), "get", "/v1/catalog/items");

    let decide = is(&call("POST", "/v1/decide", &example("/v1/decide", "post")), "post", "/v1/decide");
    assert_eq!(decide["placements"]["home-hero"]["creative"], Value::Null);
    is(&server.post("/v1/decide", &public, &json!({"placements": [{"id": "trending"}], "explain": true})), "post", "/v1/decide");
    is(&server.post("/v1/decide", &public, &json!({"placements": [{"id": "no-such"}]})), "post", "/v1/decide");

    let groups: Vec<Value> = (0..40)
        .map(|n| {
            let items: Vec<Value> = ["22386", "85099B"].iter().map(|i| json!({"item_id": i, "price": 2, "quantity": 1})).collect();
            json!({"id": format!("p{n}"), "type": "purchase", "visitor_id": format!("v{n}"), "transaction_id": format!("t{n}"), "items": items})
        })
        .collect();
    let other: Vec<Value> = (0..40)
        .map(|n| json!({"id": format!("q{n}"), "type": "purchase", "visitor_id": format!("w{n}"), "items": [{"item_id": "kite"}, {"item_id": "rope"}]}))
        .collect();
    let events: Vec<Value> = groups.into_iter().chain(other).collect();
    let learnt = server.post("/v1/events", &secret, &json!({"consent": {"analytics": true}, "events": events}));
    is(&learnt, "post", "/v1/events");
    server.run(&["build"]);
    let recommendations = "/v1/recommendations/{placement}";
    let fields =
        "title,description,categories,brand,price,list_price,currency,stock,availability,image_url,url,group_id,attributes";
    let address = format!("/v1/recommendations/also-bought?item_id=22386&explain=true&exclude_ids=kite&fields={fields}");
    let explained = is(&call("GET", &address, ""), "get", recommendations);
    assert!(explained["items"][0]["explain"]["support"]["together"].is_u64(), "{explained}");
    is(&call("GET", "/v1/recommendations/home-hero", ""), "get", recommendations);
    is(&call("GET", "/v1/recommendations/also-bought?count=0", ""), "get", recommendations);
    is(&call("GET", "/v1/recommendations/also-bought?filter=%7B%7D", ""), "get", recommendations);
    is(&server.get("/v1/recommendations/also-bought"), "get", recommendations);

    is(&call("GET", "/v1/placements", ""), "get", "/v1/placements");
    let builds = is(&call("GET", "/v1/builds", ""), "get", "/v1/builds");
    let build = builds["builds"][0]["build"].as_str().unwrap().to_owned();
    let activate = "/v1/builds/{build}:activate";
    is(&call("POST", &format!("/v1/builds/{build}:activate"), ""), "post", activate);
    is(&call("POST", "/v1/builds/2001-01-01T00-00Z-0000:activate", ""), "post", activate);
    is(&call("POST", "/v1/builds:rollback", ""), "post", "/v1/builds:rollback");
    let token: Value =
        serde_json::from_str(&server.run(&["token", "--role", "analyst", "--email", "a@shop.example", "--json"])).unwrap();
    let analyst = format!("Bearer {}", token["token"].as_str().unwrap());
    for (method, address, path, status) in [
        ("GET", "/v1/builds", "/v1/builds", 200),
        ("GET", "/v1/builds?site=nowhere", "/v1/builds", 404),
        ("POST", "/v1/builds:rollback", "/v1/builds:rollback", 403),
        ("GET", "/v1/recommendations/trending?explain=1", recommendations, 200),
        ("GET", "/v1/catalog/items", "/v1/catalog/items", 403),
    ] {
        let answer = server.send(method, address, &[("Authorization", &analyst)], b"");
        assert_eq!(answer.status, status, "{address}: {}", answer.text());
        is(&answer, &method.to_lowercase(), path);
    }
    for path in ["/livez", "/readyz", "/openapi.json"] {
        is(&server.get(path), "get", path);
    }
}

#[test]
fn every_item_id_has_an_address() {
    let server = Server::start();
    let bearer = format!("Bearer {}", server.key("secret", &[]));
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    for (escaped, id) in
        [("a%2Fb", "a/b"), ("50%25", "50%"), ("a+b", "a+b"), ("a%2Bb", "a+b"), ("a%20b", "a b"), ("%2525", "%25")]
    {
        let address = format!("/v1/catalog/items/{escaped}");
        assert_eq!(server.send("PUT", &address, &headers, b"{}").json()["item_id"], id);
        assert_eq!(server.send("GET", &address, &headers, b"").json()["item_id"], id);
        assert_eq!(server.send("DELETE", &address, &headers, b"").status, 204);
    }
}

#[test]
fn the_page_that_shows_it_is_on_the_admin_address_only() {
    let server = Server::start();
    for (path, kind) in [("/docs", "text/html"), ("/docs/docs.js", "text/javascript"), ("/docs/docs.css", "text/css")] {
        let answer = send(server.admin, "GET", path, &[], b"").unwrap();
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").unwrap().starts_with(kind), "{path}");
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'self'"));
        assert!(!answer.body.is_empty(), "{path}");
        assert_eq!(server.get(path).problem(), "not_found");
    }
    assert_eq!(send(server.admin, "GET", "/openapi.json", &[], b"").unwrap().json(), document(&server));
    let page = send(server.admin, "GET", "/docs", &[], b"").unwrap().text();
    assert!(
        !page.contains("<style") && !page.contains("style=") && !page.contains("<script>"),
        "the policy allows nothing inline"
    );
}

#[test]
fn what_is_not_as_documented_is_found() {
    let document = json!({"components": {"schemas": {"Id": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}}});
    let schema = json!({"type": "object", "required": ["id"], "properties": {
        "id": {"$ref": "#/components/schemas/Id"}, "of": {"type": "array", "items": {"enum": ["a", "b"]}}, "n": {"type": ["integer", "null"]}}});
    for good in [json!({"id": 7}), json!({"id": "x", "of": ["a"], "n": null})] {
        validate(&document, &schema, &good).unwrap();
    }
    for bad in [
        json!([]),
        json!({}),
        json!({"id": true}),
        json!({"id": 1, "of": ["c"]}),
        json!({"id": 1, "n": 0.5}),
        json!({"id": 1, "x": 1}),
    ] {
        assert!(validate(&document, &schema, &bad).is_err(), "{bad}");
    }
}

/// Checks a value against as much of JSON Schema as the document uses. A field that is not documented is a failure.
#[track_caller]
fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Err(problem) = validate(document, schema, value) {
        panic!("{place}: {problem}\n{value:#}");
    }
}

fn validate(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolve(document, schema);
    let fits = |one: &&Value| validate(document, one, value).is_ok();
    if let Some(alternatives) = schema["oneOf"].as_array()
        && alternatives.iter().filter(fits).count() != 1
    {
        return Err(format!("{value} is not exactly one of {}", schema["oneOf"]));
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        // Each part knows only its own fields.
        let mut part = resolve(document, part).clone();
        part["additionalProperties"] = true.into();
        validate(document, &part, value)?;
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Err(format!("{value} is not {}", schema["const"]));
    }
    if schema["enum"].as_array().is_some_and(|list| !list.contains(value)) {
        return Err(format!("{value} is none of {}", schema["enum"]));
    }
    let is = |name: &Value| match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type: {other}"),
    };
    let allowed = match (schema.get("type"), schema["type"].as_array()) {
        (None, _) => true,
        (_, Some(types)) => types.iter().any(is),
        (Some(name), None) => is(name),
    };
    if !allowed {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    let bound = |name: &str| schema[name].as_f64();
    if let Some(number) = value.as_f64()
        && (bound("minimum").is_some_and(|least| number < least) || bound("maximum").is_some_and(|most| number > most))
    {
        return Err(format!("{number} is out of range"));
    }
    if let Some(list) = value.as_array() {
        for (n, entry) in list.iter().enumerate() {
            validate(document, &schema["items"], entry).map_err(|problem| format!("[{n}]: {problem}"))?;
        }
    }
    if let Some(map) = value.as_object() {
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !map.contains_key(name) {
                return Err(format!("`{name}` is missing"));
            }
        }
        for (name, field) in map {
            let of = match (properties.get(name), &schema["additionalProperties"]) {
                (Some(property), _) => property,
                (None, Value::Null) if properties.is_empty() => &Value::Null,
                (None, Value::Null | Value::Bool(false)) => return Err(format!("`{name}` is not documented")),
                (None, rest) => rest,
            };
            if of.is_object() {
                validate(document, of, field).map_err(|problem| format!("{name}: {problem}"))?;
            }
        }
    }
    Ok(())
}
