//! The pages of the guide. They lie in `docs/` as Markdown; their examples are
//! compiled and run as tests.

#[doc = include_str!("../docs/agent_loop.md")]
pub mod agent_loop {}

#[doc = include_str!("../docs/own_tools.md")]
pub mod own_tools {}

#[doc = include_str!("../docs/tool_plugins.md")]
pub mod tool_plugins {}

#[doc = include_str!("../docs/limits.md")]
pub mod limits {}

#[doc = include_str!("../docs/stuck.md")]
pub mod stuck {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}
