//! `lm`: conversations with the model. The host keeps the messages; the
//! component holds a handle.

use wasmtime::component::Resource;

use crate::agent::Grant;
use crate::lm::Conversation;
use crate::plugin::bindings::code_agent::plugin::lm::{Host, HostConversation, Options, Reply};
use crate::plugin::bindings::code_agent::plugin::tools::{ToolResult, ToolSpec};
use crate::plugin::convert::{ImportError, all};
use crate::plugin::state::CallState;

impl Host for CallState {}

impl HostConversation for CallState {
    async fn open(&mut self, options: Options) -> Result<Resource<Conversation>, ImportError> {
        let agent = self.enter(Grant::Lm)?;
        let Options { system, tools, max_output_tokens } = options;
        let tool_bytes = |tool: &ToolSpec| tool.description.len() + tool.parameters.len();
        self.hand_over(system.len() + tools.iter().map(tool_bytes).sum::<usize>())?;
        self.meter.conversation_opens().map_err(ImportError::Trap)?;
        match agent.open(system, all(tools), max_output_tokens) {
            Ok(conversation) => Ok(self.table.push(conversation)?),
            Err(error) => {
                self.meter.conversation_closed();
                Err(error.into())
            }
        }
    }

    async fn say(
        &mut self,
        handle: Resource<Conversation>,
        text: String,
    ) -> Result<(), ImportError> {
        self.check(Grant::Lm)?;
        self.hand_over(text.len())?;
        Ok(self.table.get_mut(&handle)?.say(text)?)
    }

    async fn answer(
        &mut self,
        handle: Resource<Conversation>,
        results: Vec<ToolResult>,
    ) -> Result<(), ImportError> {
        self.check(Grant::Lm)?;
        self.hand_over(results.iter().map(|result| result.output.len()).sum())?;
        Ok(self.table.get_mut(&handle)?.answer(all(results))?)
    }

    async fn reply(&mut self, handle: Resource<Conversation>) -> Result<Reply, ImportError> {
        let agent = self.enter(Grant::Lm)?;
        Ok(agent.ask(self.table.get_mut(&handle)?).await?.into())
    }

    async fn elide_results(
        &mut self,
        handle: Resource<Conversation>,
        keep: u32,
    ) -> wasmtime::Result<()> {
        self.enter_free()?;
        self.table.get_mut(&handle)?.elide_results(keep);
        Ok(())
    }

    async fn drop(&mut self, handle: Resource<Conversation>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        self.meter.conversation_closed();
        Ok(())
    }
}
