//! The functions that Kubernetes adds to CEL, and its extensions of texts, lists and numbers.
//!
//! An amount is a number of 10^-9 inside of a rule.

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use cel::extractors::This;
use cel::{Context, Env, ExecutionError, Value, extensions};

use super::pattern;
use crate::quantity::Quantity;

const UNIT: f64 = 1_000_000_000.0;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    for extension in [extensions::strings, extensions::lists, extensions::math] {
        // A name that the language has already need not be added.
        let _ = env.add_extension(extension);
    }
    Arc::new(env)
});

/// Compiles an expression.
///
/// # Errors
/// What its parser objects to.
pub(super) fn compile(text: &str) -> Result<cel::Program, cel::ParseErrors> {
    ENV.compile(text)
}

/// A context with all functions, to open the contexts of rules in.
pub(super) fn context<'p, 'v>() -> Context<'p, 'v> {
    let mut context = Context::with_env(ENV.clone());
    add_quantities(&mut context);
    add_texts(&mut context);
    add_lists(&mut context);
    context
}

fn add_quantities(context: &mut Context<'_, '_>) {
    let parse = |text: Arc<String>| match Quantity::parse(&text) {
        Some(quantity) => Ok(quantity.nanos() as f64),
        None => Err(ExecutionError::function_error(
            "quantity",
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        )),
    };
    let order = |a: f64, b: f64| match a.partial_cmp(&b) {
        Some(Ordering::Less) => -1_i64,
        Some(Ordering::Greater) => 1,
        _ => 0,
    };
    // Names that the language already has are refused, and need not be added.
    let _ = context.add_function("quantity", parse);
    let _ =
        context.add_function("isQuantity", |text: Arc<String>| Quantity::parse(&text).is_some());
    let _ = context.add_function("isGreaterThan", |This(this): This<f64>, other: f64| this > other);
    let _ = context.add_function("isLessThan", |This(this): This<f64>, other: f64| this < other);
    let _ = context
        .add_function("compareTo", move |This(this): This<f64>, other: f64| order(this, other));
    let _ = context.add_function("sign", move |This(this): This<f64>| order(this, 0.0));
    let _ = context.add_function("isInteger", |This(this): This<f64>| this % UNIT == 0.0);
    let _ = context.add_function("asInteger", |This(this): This<f64>| (this / UNIT) as i64);
    let _ = context.add_function("asApproximateFloat", |This(this): This<f64>| this / UNIT);
    let _ = context.add_function("sub", |This(this): This<f64>, other: f64| this - other);
}

fn add_texts(context: &mut Context<'_, '_>) {
    // In place of the crate's own, which compiles the pattern anew each time.
    let _ =
        context.add_function("matches", |This(this): This<Arc<String>>, wanted: Arc<String>| {
            pattern::try_matches(&wanted, &this).ok_or_else(|| {
                let why = format!("'{wanted}' not a valid regex");
                ExecutionError::function_error("matches", why)
            })
        });
    let _ = context.add_function("find", |This(this): This<Arc<String>>, wanted: Arc<String>| {
        pattern::all(&wanted, &this).into_iter().next().unwrap_or_default()
    });
    let _ =
        context.add_function("findAll", |This(this): This<Arc<String>>, wanted: Arc<String>| {
            let found = pattern::all(&wanted, &this);
            Value::List(Arc::new(
                found.into_iter().map(|text| Value::String(Arc::new(text))).collect(),
            ))
        });
    let _ =
        context.add_function("isIP", |text: Arc<String>| text.parse::<std::net::IpAddr>().is_ok());
    let _ = context.add_function("isCIDR", |text: Arc<String>| {
        text.split_once('/').is_some_and(|(ip, bits)| {
            let most = if ip.contains(':') { 128 } else { 32 };
            ip.parse::<std::net::IpAddr>().is_ok()
                && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
        })
    });
    let _ = context.add_function("isURL", |text: Arc<String>| {
        pattern::matches(r"^([a-zA-Z][a-zA-Z0-9+.-]*:\S+|/\S*)$", &text)
    });
}

fn add_lists(context: &mut Context<'_, '_>) {
    type Items = Arc<Vec<Value>>;
    let most = |items: Items, wanted: Ordering| {
        let best = items
            .iter()
            .reduce(|best, item| if item.partial_cmp(best) == Some(wanted) { item } else { best });
        best.cloned()
            .ok_or_else(|| ExecutionError::function_error("min", "min called on empty list"))
    };
    let _ =
        context.add_function("min", move |This(items): This<Items>| most(items, Ordering::Less));
    let _ =
        context.add_function("max", move |This(items): This<Items>| most(items, Ordering::Greater));
    let _ = context.add_function("isSorted", |This(items): This<Items>| {
        items
            .is_sorted_by(|a, b| matches!(a.partial_cmp(b), Some(Ordering::Less | Ordering::Equal)))
    });
    let _ = context.add_function("sum", |This(items): This<Items>| {
        items.iter().try_fold(Value::Int(0), |sum, item| match (&sum, item) {
            (Value::Int(a), Value::Int(b)) => a
                .checked_add(*b)
                .map(Value::Int)
                .ok_or_else(|| ExecutionError::function_error("sum", "integer overflow")),
            (Value::Int(a), Value::Float(b)) => Ok(Value::Float(*a as f64 + b)),
            (Value::Float(a), Value::Float(b)) => Ok(Value::Float(a + b)),
            _ => Err(ExecutionError::function_error("sum", "no such overload")),
        })
    });
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "quantity('1Gi').isGreaterThan(quantity('1000M')) && quantity('1').compareTo(quantity('2')) == -1"
    )]
    #[case("quantity('3').sub(quantity('1')).asInteger() == 2 && !quantity('1500m').isInteger()")]
    #[case("'a1b22'.find('[0-9]+') == '1' && 'a1b22'.findAll('[0-9]+') == ['1', '22']")]
    #[case(
        "[1, 2, 2].isSorted() && ![2, 1].isSorted() && [1, 2].sum() == 3 && [3, 1].min() == 1 && [3, 1].max() == 3"
    )]
    #[case(
        "isIP('10.0.0.1') && !isIP('x') && isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0/33') && isURL('https://a')"
    )]
    #[case("'abc'.matches('^[a-c]+$') && !'abd'.matches('^[a-c]+$') && matches('x', 'x|y')")]
    #[case("'A-b'.lowerAscii() == 'a-b' && 'a,b'.split(',').size() == 2 && ' x '.trim() == 'x'")]
    fn a_function_is_there(#[case] rule: &str) {
        let context = context();
        let found = compile(rule).unwrap().execute(&context);
        assert_eq!(found, Ok(Value::Bool(true)), "{rule}");
    }
}
