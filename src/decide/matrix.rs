//! What the posterior needs of linear algebra: symmetric matrices, their Cholesky factor, and what it solves.

/// The dot product. Four sums at once: the order of additions is fixed, so results are the same everywhere, and they do
/// not wait for each other.
fn dot(one: &[f64], other: &[f64]) -> f64 {
    let (ones, rest) = one.as_chunks::<4>();
    let (others, other_rest) = other.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in ones.iter().zip(others) {
        for at in 0..4 {
            sums[at] += a[at] * b[at];
        }
    }
    let tail: f64 = rest.iter().zip(other_rest).map(|(a, b)| a * b).sum();
    sums[0] + sums[1] + sums[2] + sums[3] + tail
}

/// A square matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    size: usize,
    values: Vec<f64>,
}

impl Matrix {
    pub(super) fn zero(size: usize) -> Matrix {
        Matrix { size, values: vec![0.0; size * size] }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.size + column]
    }

    pub(super) fn add(&mut self, row: usize, column: usize, value: f64) {
        self.values[row * self.size + column] += value;
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.size..(row + 1) * self.size]
    }

    /// The lower triangular `L` with `L L' = self`, of which only the lower triangle is read. `None` where the matrix is
    /// not positive definite.
    pub(super) fn cholesky(&self) -> Option<Factor> {
        let mut lower = Matrix::zero(self.size);
        for row in 0..self.size {
            for column in 0..=row {
                let (left, right) = (&lower.row(row)[..column], &lower.row(column)[..column]);
                let rest = self.at(row, column) - dot(left, right);
                let value = if row == column { rest.sqrt() } else { rest / lower.at(column, column) };
                if !value.is_finite() || (row == column && value <= 0.0) {
                    return None;
                }
                lower.values[row * self.size + column] = value;
            }
        }
        Some(Factor(lower))
    }
}

/// The lower Cholesky factor of a matrix.
#[derive(Clone, Debug)]
pub(super) struct Factor(Matrix);

impl Factor {
    /// The `x` with `L L' x = right`.
    pub(super) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let lower = &self.0;
        let mut x = right.to_vec();
        for row in 0..lower.size {
            let done = dot(&lower.row(row)[..row], &x[..row]);
            x[row] = (x[row] - done) / lower.at(row, row);
        }
        self.solve_transposed(&mut x, 0);
        x
    }

    /// Overwrites `x` with the solution of `M' y = x`, where `M` is the part of `L` from row and column `from` on.
    pub(super) fn solve_transposed(&self, x: &mut [f64], from: usize) {
        let lower = &self.0;
        for row in (from..lower.size).rev() {
            let value = x[row - from] / lower.at(row, row);
            x[row - from] = value;
            for (x, l) in x[..row - from].iter_mut().zip(&lower.row(row)[from..row]) {
                *x -= l * value;
            }
        }
    }

    /// The square roots of the diagonal of the inverse of `L L'`, from row `from` on.
    pub(super) fn deviations(&self, from: usize) -> Vec<f64> {
        let size = self.0.size - from;
        // The part of L from there on is the factor of what is left when all before it is eliminated.
        (0..size)
            .map(|at| {
                let mut unit = vec![0.0; size];
                unit[at] = 1.0;
                // L^-1 e, then its length.
                for row in at..size {
                    let lower = &self.0.row(from + row)[from + at..from + row];
                    let done = dot(lower, &unit[at..row]);
                    unit[row] = (unit[row] - done) / self.0.at(from + row, from + row);
                }
                unit.iter().map(|x| x * x).sum::<f64>().sqrt()
            })
            .collect()
    }

    /// The inverse of `L L'`.
    pub(super) fn inverse(&self) -> Matrix {
        let lower = &self.0;
        let size = lower.size;
        // Column `c` of the inverse of L, kept as row `c`: its entries before `c` are zero.
        let mut columns = Matrix::zero(size);
        for column in 0..size {
            columns.values[column * size + column] = 1.0 / lower.at(column, column);
            for row in column + 1..size {
                let sum = dot(&lower.row(row)[column..row], &columns.row(column)[column..row]);
                columns.values[column * size + row] = -sum / lower.at(row, row);
            }
        }
        let mut inverse = Matrix::zero(size);
        for row in 0..size {
            for column in 0..=row {
                let value = dot(&columns.row(row)[row..], &columns.row(column)[row..]);
                inverse.values[row * size + column] = value;
                inverse.values[column * size + row] = value;
            }
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A positive definite matrix made of these numbers.
    fn positive(size: usize, values: &[f64]) -> Matrix {
        let mut matrix = Matrix::zero(size);
        for row in 0..size {
            for column in 0..size {
                let dot: f64 = (0..size).map(|k| values[row * size + k] * values[column * size + k]).sum();
                matrix.add(row, column, dot + if row == column { 0.5 } else { 0.0 });
            }
        }
        matrix
    }

    proptest! {
        #[test]
        fn what_is_solved_solves(values in prop::collection::vec(-2.0_f64..2.0, 25), right in prop::collection::vec(-3.0_f64..3.0, 5)) {
            let matrix = positive(5, &values);
            let factor = matrix.cholesky().expect("positive definite");
            let solved = factor.solve(&right);
            let inverse = factor.inverse();
            for (at, deviation) in factor.deviations(2).into_iter().enumerate() {
                prop_assert!((deviation.powi(2) - inverse.at(at + 2, at + 2)).abs() < 1e-6);
            }
            for row in 0..5 {
                let again: f64 = (0..5).map(|column| matrix.at(row, column) * solved[column]).sum();
                prop_assert!((again - right[row]).abs() < 1e-6);
                let by_inverse: f64 = (0..5).map(|column| inverse.at(row, column) * right[column]).sum();
                prop_assert!((by_inverse - solved[row]).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        let mut matrix = Matrix::zero(2);
        matrix.add(0, 0, 1.0);
        assert!(matrix.cholesky().is_none());
        matrix.add(1, 1, f64::NAN);
        assert!(matrix.cholesky().is_none());
    }
}
