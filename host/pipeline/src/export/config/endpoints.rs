//! The endpoints of one destination, and how requests are spread over them.

use std::time::Duration;

use super::{Endpoint, Protocol};

/// Where one destination's requests go: one endpoint, or several that are as good as each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Never empty, all of one protocol, no two alike.
    list: Vec<Endpoint>,
    /// Which of them gets a request.
    pub balance: Balance,
    /// What a name with several addresses stands for.
    pub dns: Dns,
    /// How often names are resolved anew while connections last.
    pub resolve_every: Duration,
}

/// Which endpoint gets a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// The first that is healthy.
    #[default]
    Failover,
    /// One after another, of those that are healthy.
    RoundRobin,
    /// The one that a trace belongs to gets all its spans, healthy or not. Each has a queue of its own.
    ByTrace,
}

/// What a name with several addresses stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dns {
    /// One back end, however it is reached.
    #[default]
    One,
    /// As many back ends as there are addresses, as behind a headless service of Kubernetes.
    All,
}

/// Why endpoints do not make a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointsError {
    /// There is none.
    #[error("must be a URL or a list of URLs, like http://localhost:4317")]
    Empty,
    /// They speak different protocols.
    #[error("one destination speaks one protocol: give the other a name of its own")]
    Protocols,
    /// One is there twice.
    #[error("{0} is there twice")]
    Twice(String),
    /// There is nothing to choose from.
    #[error(
        "needs more than one endpoint to choose from: give `grpc` or `http` a list of URLs, or set `dns: all` where a name stands for several"
    )]
    Alone,
}

impl Endpoints {
    /// These, in this order.
    pub fn new(list: Vec<Endpoint>) -> Result<Self, EndpointsError> {
        let Some(first) = list.first() else { return Err(EndpointsError::Empty) };
        if list.iter().any(|endpoint| endpoint.protocol != first.protocol) {
            return Err(EndpointsError::Protocols);
        }
        // By what metrics call them.
        let shown: Vec<String> = list.iter().map(Endpoint::shown).collect();
        if let Some(twice) = (1..list.len()).find(|&at| shown[..at].contains(&shown[at])) {
            return Err(EndpointsError::Twice(shown[twice].clone()));
        }
        let (balance, dns) = (Balance::default(), Dns::default());
        Ok(Self { list, balance, dns, resolve_every: Duration::from_secs(30) })
    }

    /// Whether traces can be shared out among them.
    pub fn check_by_trace(&self) -> Result<(), EndpointsError> {
        let is_several = self.list.len() > 1 || (self.dns == Dns::All && self.first().is_named());
        if is_several { Ok(()) } else { Err(EndpointsError::Alone) }
    }

    /// How all of them are spoken to.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.first().protocol
    }

    /// The first, and often the only one.
    #[must_use]
    pub fn first(&self) -> &Endpoint {
        self.list.first().expect("never empty")
    }

    /// All, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Endpoint> {
        self.list.iter()
    }

    /// Whether any of them is reached over TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.list.iter().any(Endpoint::is_tls)
    }
}

impl From<Endpoint> for Endpoints {
    fn from(only: Endpoint) -> Self {
        Self::new(vec![only]).expect("one endpoint is like no other")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_endpoints_of_one_protocol_and_none_twice() {
        let grpc = |host: &str| Endpoint::grpc(&format!("http://{host}:4317")).unwrap();
        let http = Endpoint::http("http://a:4318").unwrap();
        assert_eq!(Endpoints::new(Vec::new()), Err(EndpointsError::Empty));
        assert_eq!(Endpoints::new(vec![grpc("a"), http]), Err(EndpointsError::Protocols));
        let twice = Endpoints::new(vec![grpc("a"), grpc("b"), grpc("a")]);
        assert_eq!(twice, Err(EndpointsError::Twice("http://a:4317".into())));
        assert_eq!(Endpoints::new(vec![grpc("a"), grpc("b")]).unwrap().iter().len(), 2);
    }

    #[test]
    fn traces_are_shared_out_among_several() {
        let grpc = |host: &str| Endpoint::grpc(&format!("http://{host}:4317")).unwrap();
        let check = |hosts: &[&str], dns| {
            let mut endpoints = Endpoints::new(hosts.iter().map(|host| grpc(host)).collect()).unwrap();
            endpoints.dns = dns;
            endpoints.check_by_trace()
        };
        assert_eq!(check(&["a", "b"], Dns::One), Ok(()));
        assert_eq!(check(&["a"], Dns::All), Ok(()));
        assert_eq!(check(&["a"], Dns::One), Err(EndpointsError::Alone));
        assert_eq!(check(&["10.0.0.1"], Dns::All), Err(EndpointsError::Alone));
    }
}
