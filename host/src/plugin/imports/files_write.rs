//! `files-write`: changing the caller's checkout, below the run's root path.

use crate::agent::Grant;
use crate::plugin::bindings::code_agent::plugin::files_write::Host;
use crate::plugin::convert::ImportError;
use crate::plugin::state::CallState;
use crate::repo::path::CheckoutPath;
use crate::tools::place::WriteArea;
use crate::tools::{edit, files};

impl Host for CallState {
    async fn write(
        &mut self,
        path: String,
        contents: Vec<u8>,
        executable: Option<bool>,
    ) -> Result<(), ImportError> {
        let agent = self.enter(Grant::FilesWrite)?;
        self.hand_over(contents.len())?;
        let path = CheckoutPath::parse_file(&path)?;
        let write =
            move |area: WriteArea<'_>| files::write(area, &path, &contents, executable).map(drop);
        Ok(agent.in_write_area(write).await?)
    }

    async fn edit(&mut self, path: String, old: String, new: String) -> Result<(), ImportError> {
        let agent = self.enter(Grant::FilesWrite)?;
        self.hand_over(new.len())?;
        let path = CheckoutPath::parse_file(&path)?;
        Ok(agent.in_write_area(move |area| edit::edit(area, &path, &old, &new).map(drop)).await?)
    }

    async fn remove(&mut self, path: String) -> Result<(), ImportError> {
        let agent = self.enter(Grant::FilesWrite)?;
        let path = CheckoutPath::parse_file(&path)?;
        Ok(agent.in_write_area(move |area| files::remove(area, &path)).await?)
    }

    async fn rename(&mut self, old: String, new: String) -> Result<(), ImportError> {
        let agent = self.enter(Grant::FilesWrite)?;
        let (old, new) = (CheckoutPath::parse_file(&old)?, CheckoutPath::parse_file(&new)?);
        Ok(agent.in_write_area(move |area| files::rename(area, &old, &new)).await?)
    }
}
