//! Components that no compiler makes: each is broken or greedy in one way, when
//! it starts.

/// A component whose module does this when it starts. `before` declares what the
/// module is given; it exports what a sub-planner has to, so that it loads.
fn component(before: &str, arguments: &str, module: &str) -> String {
    format!(
        r#"(component
  {before}
  (core module $module {module} (start $start) (func (export "plan")))
  (core instance $instance (instantiate $module {arguments}))
  (func $plan (canon lift (core func $instance "plan")))
  (instance $planner (export "plan-domain" (func $plan)))
  (export "code-agent:plugin/sub-planner@0.1.0" (instance $planner)))"#
    )
}

/// A component that gives `log.write` these three numbers: the level, where the
/// text lies and how long it is.
fn logs(level: u32, start: u32, length: u32) -> String {
    component(
        r#"(import "code-agent:plugin/log@0.1.0" (instance $log
    (type $levels (enum "error" "warn" "info" "debug"))
    (export "level" (type $level (eq $levels)))
    (export "write" (func (param "level" $level) (param "message" string)))))
  (core module $memory (memory (export "memory") 1) (data (i32.const 0) "\ff\fe"))
  (core instance $of-memory (instantiate $memory))
  (alias core export $of-memory "memory" (core memory $bytes))
  (core func $write (canon lower (func $log "write") (memory $bytes)))
  (core instance $host (export "write" (func $write)))"#,
        r#"(with "host" (instance $host))"#,
        &format!(
            r#"(import "host" "write" (func $write (param i32 i32 i32)))
    (func $start (call $write (i32.const {level}) (i32.const {start}) (i32.const {length})))"#
        ),
    )
}

/// A component that has so many memories.
fn memories(count: usize) -> String {
    let instances = "(core instance (instantiate $memory))\n".repeat(count);
    let before = format!("(core module $memory (memory 0))\n{instances}");
    component(&before, "", "(func $start)")
}

/// A component of so many core modules' instances.
fn instances(count: usize) -> String {
    let instances = "(core instance (instantiate $empty))\n".repeat(count);
    component(&format!("(core module $empty)\n{instances}"), "", "(func $start)")
}

/// Asks WASI for a terabyte of random bytes.
fn random() -> String {
    component(
        r#"(import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core module $memory (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16)))
  (core instance $of-memory (instantiate $memory))
  (alias core export $of-memory "memory" (core memory $bytes))
  (alias core export $of-memory "realloc" (core func $realloc))
  (core func $get (canon lower (func $random "get-random-bytes")
    (memory $bytes) (realloc (func $realloc))))
  (core instance $host (export "get" (func $get)))"#,
        r#"(with "host" (instance $host))"#,
        r#"(import "host" "get" (func $get (param i64 i32)))
    (func $start (call $get (i64.const 1099511627776) (i32.const 0)))"#,
    )
}

/// Handles of a resource of its own by the million.
fn handles() -> String {
    component(
        r#"(type $thing (resource (rep i32)))
  (core func $new (canon resource.new $thing))
  (core instance $host (export "new" (func $new)))"#,
        r#"(with "host" (instance $host))"#,
        r#"(import "host" "new" (func $new (param i32) (result i32)))
    (func $start (loop $again (drop (call $new (i32.const 1))) (br $again)))"#,
    )
}

/// Each with its name and what stands in the answer.
pub fn all() -> Vec<(&'static str, String, &'static str)> {
    let module = |text: &str| component("", "", text);
    let elements = "tables have more than 200000 elements";
    vec![
        (
            "table",
            module(
                "(table $table 1 funcref) (func $start (loop $again
                (drop (table.grow $table (ref.null func) (i32.const 1000))) (br $again)))",
            ),
            elements,
        ),
        ("large-table", module("(table 4000000000 funcref) (func $start)"), elements),
        ("large-memory", module("(memory 65536) (func $start)"), "its limit is 32 MiB"),
        ("start-loop", module("(func $start (loop $again (br $again)))"), "computed for more than"),
        ("start-trap", module("(func $start unreachable)"), "unreachable"),
        ("memories", memories(17), "memory count too high at 17"),
        ("instances", instances(300), "instance count too high at 201"),
        ("own-handles", handles(), "store handle limit exceeded (1000 at once)"),
        ("random", random(), "exceeds limit 1048576"),
        ("outside-text", logs(0, 65_530, 100), "out of bounds"),
        ("text-of-4-gib", logs(0, 0, u32::MAX >> 1), "out of bounds"),
        ("no-utf-8", logs(0, 0, 2), "utf-8"),
        ("no-such-level", logs(77, 0, 0), "unexpected discriminant"),
    ]
}
