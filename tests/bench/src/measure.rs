//! Runs in turn, and what is said of their figures.

use anyhow::Result;

/// The figures of the runs of one side.
#[derive(Debug, Clone, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// Adds a run's figure.
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The median; 0 without any run.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        match sorted.len() {
            0 => 0.0,
            odd if odd % 2 == 1 => sorted[odd / 2],
            even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
        }
    }

    /// From the smallest to the largest, as a share of the median: how noisy the machine was.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let (least, most) =
            self.0.iter().fold((f64::MAX, 0f64), |(least, most), &figure| (least.min(figure), most.max(figure)));
        if self.0.is_empty() { 0.0 } else { (most - least) / self.median() }
    }
}

/// Runs each of the sides once, in turn, `runs` times.
pub async fn interleaved<T: Copy>(
    sides: &[T],
    runs: usize,
    mut run: impl AsyncFnMut(T) -> Result<Vec<f64>>,
) -> Result<Vec<Vec<Figures>>> {
    let mut all = vec![Vec::new(); sides.len()];
    for _ in 0..runs {
        for (side, figures) in sides.iter().zip(&mut all) {
            let values = run(*side).await?;
            figures.resize(values.len(), Figures::default());
            for (figure, value) in figures.iter_mut().zip(values) {
                figure.push(value);
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads() {
        let mut figures = Figures::default();
        for figure in [3.0, 1.0, 2.0] {
            figures.push(figure);
        }
        assert!((figures.median() - 2.0).abs() < 1e-9);
        assert!((figures.spread() - 1.0).abs() < 1e-9);
        figures.push(10.0);
        assert!((figures.median() - 2.5).abs() < 1e-9);
    }
}
