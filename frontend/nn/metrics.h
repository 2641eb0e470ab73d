// Metrics: sums over a batch, computed in the graph, and what a whole epoch's sums say. A sample whose scores hold a
// NaN is predicted as no class, and one whose label is no class is wrong whatever is predicted: neither counts as a
// hit. Infinities are ordered as numbers are.
#pragma once
#include <functional>
#include <span>

#include <weft/frontend/tensor/functions.h>

namespace weft {

/// A metric of one's own: `sums` maps (prediction, target as the loss gets it: Loss::prepared) to tensors that are
/// added up over the batches (scalars, or any fixed shape); `result` turns the totals, in the same order, as f64
/// arrays, and the number of samples into the number reported.
struct Metric {
  std::string name;
  std::function<std::vector<Tensor>(const Tensor& prediction, const Tensor& target)> sums = {};
  std::function<double(std::span<const Array> totals, std::int64_t samples)> result = {};
};

/// Class labels [batch, ..] against scores [batch, .., classes] by arg max, the share of a sample's positions that are
/// right; [batch, .., 1] scores: against the threshold 0.5 (probabilities). One-hot targets [batch, .., classes] are taken
/// by their arg max.
extern const Metric& accuracy;
extern const Metric& binary_accuracy_from_logits;  ///< [batch, 1] logits against the threshold 0
extern const Metric& precision;                    ///< of class 1: true positives / predicted positives
extern const Metric& recall;                       ///< of class 1: true positives / actual positives
extern const Metric& f1;                           ///< harmonic mean of precision and recall
extern const Metric& mean_absolute_error;
extern const Metric& mean_squared_error;
/// The label is among the k >= 1 highest scores; of equal scores all count.
Metric top_k(int k = 5, WEFT_HERE);
/// Of one label a sample. Reports the accuracy; confusion(totals) has the table: counts [classes, classes], rows are the true class. A sample
/// of no class is in none of them. Error unless there are at least 2 classes, as many as the scores have columns (2 for
/// one column).
Metric confusion_matrix(int classes, WEFT_HERE);

}  // namespace weft
