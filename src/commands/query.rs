//! `tidemark query`.

use std::io::Write;

use clap::ValueEnum;
use reqwest::header::ACCEPT;
use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::{Service, accepted};
use super::table::{Column, Table};
use super::{Failure, client_runtime, grouped, open_output};

#[derive(Debug, clap::Args)]
pub(super) struct Query {
    /// One read-only query over the views and events."<type>"
    sql: String,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    service: Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns for the eye
    Table,
    /// RFC 4180
    Csv,
    /// As the service answers it
    Json,
}

#[derive(Deserialize)]
struct Answer {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

impl Query {
    pub(super) fn run(self) -> Result<(), Failure> {
        client_runtime()?.block_on(self.ask())
    }

    async fn ask(self) -> Result<(), Failure> {
        let connection = self.service.connection()?;
        let accept = match self.format {
            Format::Csv => "text/csv",
            Format::Table | Format::Json => "application/json",
        };
        let sent = connection
            .post("/v1/query")
            .header(ACCEPT, accept)
            .json(&json!({ "sql": self.sql }))
            .send()
            .await;
        let response = sent.map_err(|error| connection.unreachable(&error))?;
        let mut response = accepted(response).await?;
        let mut out = std::io::stdout().lock();
        if self.format == Format::Table {
            let answer: Answer = response.json().await.map_err(|error| broken(&error))?;
            let rows = answer.rows.len() as u64;
            let table = Table::new(answer.columns, &answer.rows);
            if open_output(out.write_all(table.text().as_bytes()))? {
                eprintln!("{} {}", grouped(rows), if rows == 1 { "row" } else { "rows" });
            }
            return Ok(());
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
            if !open_output(out.write_all(&chunk))? {
                return Ok(());
            }
        }
        if self.format == Format::Json {
            open_output(out.write_all(b"\n"))?;
        }
        open_output(out.flush()).map(|_| ())
    }
}

fn broken(error: &reqwest::Error) -> Failure {
    Failure::Failed(format!("the answer broke off: {error}; what was written so far is not whole"))
}
