//! `rapport check-config`

use clap::Args;

use super::Context;

#[derive(Debug, Args)]
pub struct CheckConfig {
    /// Prints the settings as they were understood.
    #[arg(long)]
    show: bool,
}

impl CheckConfig {
    /// The configuration was read before this; a mistake in it has ended the process by now.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        if self.show {
            println!("{:#?}", context.config);
        }
        println!("the configuration is sound");
        Ok(())
    }
}
