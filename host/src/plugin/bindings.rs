//! The contract's Rust side, made from `wit/`: the only `bindgen!`.

#![allow(missing_docs, reason = "generated; the documentation stands in wit/")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "contract",
    imports: { default: async | trappable },
    exports: { default: async },
    trappable_error_type: { "code-agent:plugin/types.error" => super::convert::ImportError },
    with: { "code-agent:plugin/lm.conversation": crate::lm::Conversation },
});
