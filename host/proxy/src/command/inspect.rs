//! `tracemill inspect`: what a plugin is, before anybody runs it.

use std::path::PathBuf;

use control::config::plugins::oci::Oci;
use control::plugins::inspect::{self, Asked, Inspection, Shown, Signature};
use control::plugins::oci::Reference;
use control::plugins::signature::{self, Key, Keys};

use crate::cli;
use crate::command::{complain, say};
use crate::end::End;

/// Looks at a plugin and shows what it is.
pub fn inspect(options: &cli::Inspect) -> End {
    let looked = keys(options).and_then(|keys| {
        let asked = Asked { plugin: options.plugin.clone(), keys, oci: oci(options)? };
        Ok((inspect::inspect(&asked)?, asked))
    });
    let (inspection, asked) = match looked {
        Ok(looked) => looked,
        Err(why) => {
            complain(&why);
            return End::Failed;
        }
    };
    if options.json {
        match serde_json::to_string_pretty(&inspection) {
            Ok(text) => say(&text),
            Err(error) => {
                complain(&error.to_string());
                return End::Failed;
            }
        };
    } else {
        for line in lines(&inspection) {
            say(&line);
        }
    }
    if let Some(why) = &inspection.error {
        complain(&format!("{}: {why}", options.plugin));
        return End::Failed;
    }
    let is_trusted = matches!(inspection.signature, Signature::Valid(_));
    if asked.keys.are_asked_for() && !is_trusted {
        complain(&format!("{}: not signed by {}", options.plugin, asked.keys));
        return End::Failed;
    }
    End::Well
}

fn keys(options: &cli::Inspect) -> Result<Keys, String> {
    let written = options.keys.iter().map(|key| Key::read(key).map_err(|why| format!("--key {key} {why}")));
    let of_file = |file: &PathBuf| Key::of_file(file).map_err(|why| format!("--key-file {} {why}", file.display()));
    written.chain(options.key_files.iter().map(of_file)).collect()
}

/// The registry that is meant is the only one that is asked.
fn oci(options: &cli::Inspect) -> Result<Oci, String> {
    let (docker_config, ca_file) = (options.docker_config.clone(), options.ca.clone());
    let mut oci = Oci { docker_config, ca_file, ..Oci::default() };
    if options.insecure {
        let read = || {
            if Reference::is_meant(&options.plugin) {
                return Reference::read(&options.plugin);
            }
            Reference::of_file(&std::fs::read(&options.plugin).map_err(|error| error.to_string())?)
        };
        let reference = read().map_err(|why| format!("{}: {why}", options.plugin))?;
        oci.insecure = vec![reference.registry().to_owned()];
    }
    Ok(oci)
}

fn lines(inspection: &Inspection) -> Vec<String> {
    let Inspection {
        file,
        pulled,
        stage,
        size,
        sha256,
        signature,
        kind,
        role,
        contract,
        version,
        imports,
        exports,
        sidecar,
        plan,
        error: _,
    } = inspection;
    let mut lines = vec![
        format!("{file}: {kind}, {} KiB", size.div_ceil(1024)),
        format!("stage     {stage}"),
        format!("role      {role}"),
        format!("sha256    {sha256}"),
        format!("signature {}", signed(signature)),
        format!("contract  tracemill:plugin@{contract}"),
        format!("imports   {}", listed(imports)),
        format!("exports   {}", listed(exports)),
    ];
    if let Some(version) = version {
        lines.insert(3, format!("version   {version}"));
    }
    if let Some(pulled) = pulled {
        lines.insert(1, format!("pulled    {pulled}"));
    }
    let Some(plan) = plan else { return lines };
    lines.push(match sidecar {
        Some(sidecar) => format!("its plan, with the settings of {sidecar}"),
        None => "its plan, without settings".to_owned(),
    });
    lines.extend(rows(plan).map(|(name, value)| format!("  {name:<8}  {value}")));
    lines
}

/// What a plan says, by name.
fn rows(plan: &Shown) -> impl Iterator<Item = (&'static str, String)> {
    let Shown { columns, reads, writes, may_drop, tables, when, affinity, on_error, sampler } = plan;
    if let Some(sampler) = sampler {
        // The rest is the same for all of them.
        let rows = vec![
            ("shows", sampler.sees().to_owned()),
            ("sees", listed(columns)),
            ("at once", sampler.at_once()),
            ("tables", listed(tables)),
        ];
        return rows.into_iter();
    }
    let when: Vec<String> = when.iter().map(|all| all.join(" and ")).collect();
    let rows = vec![
        ("sees", listed(columns)),
        ("reads", listed(reads)),
        ("writes", listed(writes)),
        ("may drop", if *may_drop { "yes" } else { "no" }.to_owned()),
        ("tables", listed(tables)),
        ("when", if when.is_empty() { "every span".to_owned() } else { when.join("\n            or ") }),
        ("affinity", (*affinity).to_owned()),
        ("on error", (*on_error).to_owned()),
    ];
    rows.into_iter()
}

fn signed(signature: &Signature) -> String {
    let by = |shown: &signature::Shown| format!("by key {}, trusted comment: {}", shown.key, shown.trusted_comment);
    match signature {
        Signature::None => "none".to_owned(),
        Signature::Unverified(shown) => format!("not verified (--key KEY does that): {}", by(shown)),
        Signature::Valid(shown) => format!("valid, {}", by(shown)),
        Signature::Invalid { why } => format!("INVALID: {why}"),
    }
}

fn listed(items: &[String]) -> String {
    if items.is_empty() { "nothing".to_owned() } else { items.join(", ") }
}
