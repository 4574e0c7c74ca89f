//! `rapport token`

use std::str::FromStr;

use clap::Args;

use super::{Context, print_json};
use crate::control::{Answer, Request, Session};
use crate::secrets::Role;

#[derive(Debug, Args)]
pub struct Token {
    /// admin, merchandiser or analyst.
    #[arg(long, value_parser = Role::from_str)]
    role: Role,
    #[arg(long)]
    email: String,
    /// Hours until it expires.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=8760))]
    hours: u32,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

impl Token {
    pub async fn run(self, context: Context) -> anyhow::Result<()> {
        let mut session = Session::open(&context.config, &context.data_dir).await?;
        let request = Request::Token { email: self.email.clone(), role: self.role, hours: self.hours };
        let Answer::Token { token } = session.ask(request).await? else {
            anyhow::bail!("the server gave an answer to another question");
        };
        session.close().await;
        if self.json {
            return print_json(&serde_json::json!({"token": token, "role": self.role, "email": self.email, "hours": self.hours}));
        }
        println!("{token}");
        Ok(())
    }
}
