//! Metrics of the process: memory, CPU, open files, and which build it is. Read when they are asked for.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::resource::{UsageWho, getrusage};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Registers them.
pub fn register(registry: &mut Registry) {
    let build = [("version", super::VERSION)];
    registry.register("tracemill_build", "Which build this is", Info::new(build));
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    registry.register_collector(Box::new(Process { started }));
}

#[derive(Debug)]
struct Process {
    started: f64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut put = |name: &str, help: &str, metric: &dyn Fn() -> Option<Number>| {
            let Some(number) = metric() else { return Ok(()) };
            match number {
                Number::Gauge(value) => {
                    let gauge = ConstGauge::new(value);
                    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
                }
                Number::Counter(value) => {
                    let counter = ConstCounter::new(value);
                    counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
                }
            }
        };
        put("process_resident_memory_bytes", "Memory that the process holds now", &|| status_kib("VmRSS:"))?;
        put("process_peak_resident_memory_bytes", "The most memory that it has held", &|| status_kib("VmHWM:"))?;
        put("process_cpu_seconds", "CPU time of the process", &cpu)?;
        put("process_open_fds", "Open files and sockets", &open_files)?;
        put("process_start_time_seconds", "When the process started", &|| Some(Number::Gauge(self.started)))
    }
}

enum Number {
    Gauge(f64),
    Counter(f64),
}

/// A line of `/proc/self/status`, which counts in KiB. Nothing where there is no such file.
fn status_kib(line: &str) -> Option<Number> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|text| text.strip_prefix(line))?;
    let kib: f64 = value.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(Number::Gauge(kib * 1024.0))
}

fn cpu() -> Option<Number> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Some(Number::Counter(seconds(usage.user_time()) + seconds(usage.system_time())))
}

fn open_files() -> Option<Number> {
    Some(Number::Gauge(std::fs::read_dir("/proc/self/fd").ok()?.count() as f64))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_process_is_measured() {
        let (_, text) = super::super::encode(&super::super::registry()).unwrap();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
        };
        assert!(value("process_resident_memory_bytes ") > 1e6);
        assert!(value("process_peak_resident_memory_bytes ") >= value("process_resident_memory_bytes ") / 2.0);
        assert!(value("process_open_fds ") > 2.0);
        assert!(value("process_cpu_seconds_total ") >= 0.0);
        assert!(text.contains(&format!("tracemill_build_info{{version=\"{}\"}} 1", super::super::VERSION)));
        assert!(text.ends_with("# EOF\n"));
    }
}
