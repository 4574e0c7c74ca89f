//! Conditions on items: a JSON tree, compiled once before the loop over candidates.
//!
//! ```json
//! {"all": [{"field": "brand", "op": "in", "value": ["Larkfield", "Moor"]}, {"not": {"field": "price", "op": "gt", "value": 50}}]}
//! ```
//!
//! A node is `{"all": […]}`, `{"any": […]}`, `{"not": …}` or a test `{"field", "op", "value"}`. Fields are `item_id`,
//! `title`, `brand`, `category` (true if any of the item's categories passes), `price`, `stock`, `availability`,
//! `group_id` and `attributes.NAME`. Operators are `eq`, `ne`, `in`, `not_in`, `lt`, `lte`, `gt`, `gte`, `contains`,
//! `prefix` and `exists`. A test on something an item does not have is false, whatever the operator; `not` of it is true.

use std::collections::HashSet;

use serde_json::Value;

use crate::catalog::item::Item;

/// Deepest nesting and most tests of one filter.
const MAX_DEPTH: usize = 16;
const MAX_NODES: usize = 200;

/// A compiled condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Test(Field, Test),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    ItemId,
    Title,
    Brand,
    Category,
    Price,
    Stock,
    Availability,
    GroupId,
    Attribute(Box<str>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    In(HashSet<Box<str>>),
    NotIn(HashSet<Box<str>>),
    Contains(Box<str>),
    Prefix(Box<str>),
    NumberIn(Vec<f64>, bool),
    Less(f64, bool),
    Greater(f64, bool),
    Exists(bool),
}

/// What is wrong with a filter, and where in the tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`filter{path}`: {message}")]
pub struct FilterError {
    path: String,
    message: String,
}

impl Filter {
    /// Compiles a condition.
    pub fn compile(value: &Value) -> Result<Self, FilterError> {
        let mut nodes = 0;
        compile(value, "", 0, &mut nodes)
    }

    /// Returns whether an item passes.
    pub fn passes(&self, item: &Item) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|f| f.passes(item)),
            Self::Any(filters) => filters.iter().any(|f| f.passes(item)),
            Self::Not(filter) => !filter.passes(item),
            Self::Test(field, test) => test_field(field, test, item),
        }
    }
}

fn compile(value: &Value, path: &str, depth: usize, nodes: &mut usize) -> Result<Filter, FilterError> {
    let error = |message: String| Err::<Filter, _>(FilterError { path: path.to_owned(), message });
    *nodes += 1;
    if depth > MAX_DEPTH || *nodes > MAX_NODES {
        return error(format!("a filter may be {MAX_DEPTH} levels deep and hold {MAX_NODES} conditions"));
    }
    let Value::Object(map) = value else {
        return error("must be an object: {\"all\":[…]}, {\"any\":[…]}, {\"not\":…} or {\"field\",\"op\",\"value\"}".to_owned());
    };
    let mut list = |name: &str| -> Option<Result<Vec<Filter>, FilterError>> {
        let node = map.get(name)?;
        Some(match node {
            Value::Array(children) => children
                .iter()
                .enumerate()
                .map(|(i, child)| compile(child, &format!("{path}.{name}[{i}]"), depth + 1, nodes))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                Err(FilterError { path: format!("{path}.{name}"), message: "must be an array".to_owned() })
            }
        })
    };
    if map.len() == 1 {
        if let Some(children) = list("all") {
            return children.map(Filter::All);
        }
        if let Some(children) = list("any") {
            return children.map(Filter::Any);
        }
        if let Some(child) = map.get("not") {
            return Ok(Filter::Not(Box::new(compile(child, &format!("{path}.not"), depth + 1, nodes)?)));
        }
    }
    if let Some(stranger) = map.keys().find(|k| !["field", "op", "value"].contains(&k.as_str())) {
        return error(format!("`{stranger}` means nothing here; a node is all, any, not, or a test of field, op and value"));
    }
    let Some(name) = map.get("field").and_then(Value::as_str) else {
        return error("a test needs a `field`".to_owned());
    };
    let field = match name {
        "item_id" => Field::ItemId,
        "title" => Field::Title,
        "brand" => Field::Brand,
        "category" => Field::Category,
        "price" => Field::Price,
        "stock" => Field::Stock,
        "availability" => Field::Availability,
        "group_id" => Field::GroupId,
        _ => match name.strip_prefix("attributes.") {
            Some(attribute) if !attribute.is_empty() => Field::Attribute(attribute.into()),
            _ => {
                return error(format!(
                    "`{name}` is no field; use item_id, title, brand, category, price, stock, availability, group_id or attributes.NAME"
                ));
            }
        },
    };
    let op = match map.get("op") {
        None | Some(Value::Null) => "eq",
        Some(op) => op.as_str().unwrap_or("?"),
    };
    let value = map.get("value").unwrap_or(&Value::Null);
    let test = test(&field, op, value).map_err(|message| FilterError { path: path.to_owned(), message })?;
    Ok(Filter::Test(field, test))
}

fn test(field: &Field, op: &str, value: &Value) -> Result<Test, String> {
    let numeric = matches!(field, Field::Price | Field::Stock) || matches!(field, Field::Attribute(_)) && value_is_numeric(value);
    // A comparison that no item could pass is a mistake, and says so.
    let (ordered, worded) = match field {
        Field::Price | Field::Stock => (true, false),
        Field::Attribute(_) => (true, true),
        Field::ItemId | Field::Title | Field::Brand | Field::Category | Field::Availability | Field::GroupId => (false, true),
    };
    match op {
        "lt" | "lte" | "gt" | "gte" if !ordered => return Err(format!("`{op}` is for price, stock and attributes")),
        "contains" | "prefix" if !worded => return Err(format!("`{op}` is for texts")),
        _ => {}
    }
    let number = || value.as_f64().ok_or_else(|| format!("`{op}` needs a number as `value`"));
    let text = || value.as_str().map(Box::from).ok_or_else(|| format!("`{op}` needs a text as `value`"));
    let list = || match (op, value) {
        ("eq" | "ne", single) => Ok(std::slice::from_ref(single)),
        (_, Value::Array(values)) => Ok(values.as_slice()),
        _ => Err(format!("`{op}` needs an array as `value`")),
    };
    Ok(match op {
        "eq" | "ne" | "in" | "not_in" => {
            let positive = matches!(op, "eq" | "in");
            if numeric {
                let numbers =
                    list()?.iter().map(|v| v.as_f64().ok_or("this field is compared with numbers")).collect::<Result<_, _>>()?;
                Test::NumberIn(numbers, positive)
            } else {
                let texts = list()?.iter().map(text_of).collect::<Option<_>>().ok_or("this field is compared with texts")?;
                if positive { Test::In(texts) } else { Test::NotIn(texts) }
            }
        }
        "lt" => Test::Less(number()?, false),
        "lte" => Test::Less(number()?, true),
        "gt" => Test::Greater(number()?, false),
        "gte" => Test::Greater(number()?, true),
        "contains" => Test::Contains(text()?),
        "prefix" => Test::Prefix(text()?),
        "exists" => match value {
            Value::Null => Test::Exists(true),
            Value::Bool(wanted) => Test::Exists(*wanted),
            Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                return Err("`exists` needs true or false as `value`".to_owned());
            }
        },
        other => {
            return Err(format!(
                "`{other}` is no operator; use eq, ne, in, not_in, lt, lte, gt, gte, contains, prefix or exists"
            ));
        }
    })
}

fn value_is_numeric(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::Array(values) => !values.is_empty() && values.iter().all(Value::is_number),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Object(_) => false,
    }
}

fn text_of(value: &Value) -> Option<Box<str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(flag) => Some(flag.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn test_field(field: &Field, test: &Test, item: &Item) -> bool {
    let one = |text: Option<&str>| test_text(test, text);
    match field {
        Field::ItemId => one(Some(item.id.as_str())),
        Field::Title => one(item.title.as_deref()),
        Field::Brand => one(item.brand.as_deref()),
        Field::GroupId => one(item.group_id.as_deref()),
        Field::Availability => one(item.availability.map(crate::catalog::draft::Availability::as_str)),
        Field::Category => match test {
            // None of the categories may be one of them, and there must be one to look at.
            Test::NotIn(_) => !item.categories.is_empty() && item.categories.iter().all(|c| test_text(test, Some(c))),
            Test::Exists(wanted) => *wanted != item.categories.is_empty(),
            Test::In(_) | Test::Contains(_) | Test::Prefix(_) | Test::NumberIn(..) | Test::Less(..) | Test::Greater(..) => {
                item.categories.iter().any(|c| test_text(test, Some(c)))
            }
        },
        Field::Price => test_number(test, item.current_price().map(crate::event::UnitPrice::to_decimal)),
        #[expect(clippy::cast_precision_loss, reason = "a stock beyond 2^53 pieces is no stock")]
        Field::Stock => test_number(test, item.stock.map(|n| n as f64)),
        Field::Attribute(name) => match item.attributes.get(&**name) {
            None | Some(Value::Null) => matches!(test, Test::Exists(false)),
            Some(Value::Number(number)) if !matches!(test, Test::In(_) | Test::NotIn(_)) => test_number(test, number.as_f64()),
            Some(Value::Array(values)) => values.iter().any(|v| test_text(test, text_of(v).as_deref())),
            Some(value) => test_text(test, text_of(value).as_deref()),
        },
    }
}

fn test_text(test: &Test, text: Option<&str>) -> bool {
    let Some(text) = text else { return matches!(test, Test::Exists(false)) };
    match test {
        Test::In(set) => set.contains(text),
        Test::NotIn(set) => !set.contains(text),
        Test::Contains(part) => text.to_lowercase().contains(&part.to_lowercase()),
        Test::Prefix(start) => text.starts_with(&**start),
        Test::Exists(wanted) => *wanted,
        Test::NumberIn(..) | Test::Less(..) | Test::Greater(..) => false,
    }
}

fn test_number(test: &Test, number: Option<f64>) -> bool {
    let Some(number) = number else { return matches!(test, Test::Exists(false)) };
    match test {
        Test::NumberIn(numbers, positive) => numbers.iter().any(|n| (n - number).abs() < 1e-9) == *positive,
        Test::Less(bound, or_equal) => number < *bound || *or_equal && number <= *bound,
        Test::Greater(bound, or_equal) => number > *bound || *or_equal && number >= *bound,
        Test::Exists(wanted) => *wanted,
        Test::In(_) | Test::NotIn(_) | Test::Contains(_) | Test::Prefix(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::{ItemId, UnitPrice};

    fn mug() -> Item {
        let mut item = Item::unknown(ItemId::new("mug-1").unwrap());
        item.title = Some("Teal Mug".into());
        item.brand = Some("Moor".into());
        item.categories = vec!["Kitchen".into(), "Mugs".into()];
        item.price = Some(UnitPrice(12_500_000));
        item.stock = Some(4);
        item.attributes.insert("color".into(), json!("teal"));
        item.attributes.insert("sizes".into(), json!(["S", "M"]));
        item.attributes.insert("litres".into(), json!(0.3));
        item
    }

    #[track_caller]
    fn check(filter: Value, passes: bool) {
        assert_eq!(Filter::compile(&filter).unwrap().passes(&mug()), passes, "{filter}");
    }

    #[test]
    fn tests_on_fields() {
        check(json!({"field":"brand","value":"Moor"}), true);
        check(json!({"field":"brand","op":"ne","value":"Moor"}), false);
        check(json!({"field":"category","op":"in","value":["Mugs","Plates"]}), true);
        check(json!({"field":"category","op":"not_in","value":["Mugs"]}), false);
        check(json!({"field":"category","op":"ne","value":"Garden"}), true);
        check(json!({"field":"price","op":"lte","value":12.5}), true);
        check(json!({"field":"price","op":"lt","value":12.5}), false);
        check(json!({"field":"stock","op":"gt","value":3}), true);
        check(json!({"field":"title","op":"contains","value":"mug"}), true);
        check(json!({"field":"item_id","op":"prefix","value":"mug-"}), true);
        check(json!({"field":"attributes.color","value":"teal"}), true);
        check(json!({"field":"attributes.sizes","op":"in","value":["M"]}), true);
        check(json!({"field":"attributes.litres","op":"gte","value":0.25}), true);
        check(json!({"field":"attributes.size","op":"exists","value":false}), true);
        check(json!({"field":"group_id","op":"ne","value":"x"}), false);
    }

    #[test]
    fn trees() {
        let (yes, no) = (json!({"field":"brand","value":"Moor"}), json!({"field":"brand","value":"Other"}));
        check(json!({"all":[yes, {"not": no}]}), true);
        check(json!({"any":[no, yes]}), true);
        check(json!({"all":[]}), true);
        check(json!({"any":[]}), false);
    }

    #[test]
    fn mistakes_say_where() {
        for (filter, words) in [
            (json!([]), "must be an object"),
            (json!({"all":{}}), "`filter.all`"),
            (json!({"all":[{"field":"colour","value":1}]}), "`filter.all[0]`"),
            (json!({"field":"price","op":"lt","value":"x"}), "needs a number"),
            (json!({"field":"price","value":"x"}), "numbers"),
            (json!({"field":"brand","op":"like","value":"x"}), "no operator"),
            (json!({"feild":"brand"}), "`feild` means nothing"),
            (json!({"field":"brand","op":"in","value":"x"}), "needs an array"),
        ] {
            let error = Filter::compile(&filter).unwrap_err().to_string();
            assert!(error.contains(words), "{filter}: {error}");
        }
        let mut deep = json!({"field":"brand","value":"x"});
        for _ in 0..40 {
            deep = json!({"not": deep});
        }
        assert!(Filter::compile(&deep).is_err());
    }
}
