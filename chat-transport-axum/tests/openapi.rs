//! The OpenAPI document is made from the routes; this holds it to the protocol's table.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

use std::collections::BTreeSet;

use serde_json::Value;

const DOC: &str = include_str!("../../docs/protocol.md");

fn document() -> Value {
    serde_json::to_value(parlor_transport_axum::openapi()).unwrap()
}

/// `GET /conversations` and so on, from the OpenAPI document.
fn documented(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .keys()
                .map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect()
}

/// The same from the table of the protocol: "`GET`, `PATCH /conversations/{id}`" is two of them.
fn listed() -> BTreeSet<String> {
    let (_, rest) = DOC.split_once("| method and path |").unwrap();
    let (table, _) = rest.split_once("\n## ").unwrap();
    let mut listed = BTreeSet::new();
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let cell = line.split('|').nth(1).unwrap();
        let mut methods = Vec::new();
        let mut before = String::new();
        for quoted in cell.split('`').skip(1).step_by(2) {
            match quoted.split_once(' ') {
                Some((method, path)) => {
                    methods.push(method);
                    before = path.split('?').next().unwrap().to_owned();
                    listed.extend(methods.drain(..).map(|method| format!("{method} {before}")));
                }
                // `POST /conversations/{id}/hide`, `/clear`
                None if quoted.starts_with('/') => {
                    let (parent, _) = before.rsplit_once('/').unwrap();
                    listed.insert(format!("POST {parent}{quoted}"));
                }
                None if quoted.starts_with('?') => {}
                None => methods.push(quoted),
            }
        }
    }
    listed
}

#[test]
fn the_routes_are_those_of_the_protocol() {
    let mut documented = documented(&document());
    assert!(documented.remove("GET /ws"));
    assert_eq!(documented, listed());
}

#[test]
fn every_operation_says_what_it_answers_and_every_reference_resolves() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            let good = responses.keys().any(|status| status.starts_with('2') || status == "101");
            assert!(good, "{method} {path}");
            for status in ["400", "401", "404", "422", "429", "503"] {
                let problem =
                    &responses[status]["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(problem, "#/components/schemas/Problem", "{method} {path} {status}");
            }
            assert!(
                ids.insert(operation["operationId"].to_string()),
                "{method} {path}: its id is taken"
            );
            let named: BTreeSet<_> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
                .collect();
            let held: BTreeSet<_> =
                path.split('/').filter(|part| part.starts_with('{')).map(str::to_owned).collect();
            assert_eq!(named, held, "{method} {path}");
        }
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}
