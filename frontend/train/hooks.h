// What a type must be to be a callback of fit(), checked when it is compiled: a hook that fit() does not know is never
// called, and nobody would notice.
#pragma once
#include <concepts>
#include <type_traits>
#include <utility>

namespace weft {

struct FitRun;

namespace hook_check {

/// Whether T has a member of a name, of any kind and overloaded or not: two bases with one name make it ambiguous.
#define WEFT_MEMBER(member)                                                     \
  struct Named_##member {                                                       \
    int member;                                                                 \
  };                                                                            \
  template <class T>                                                            \
  struct With_##member : T, Named_##member {};                                  \
  template <class T>                                                            \
  constexpr bool has_##member() {                                               \
    if constexpr (std::is_class_v<T> && !std::is_final_v<T>) return !requires { \
        &With_##member<T>::member;                                              \
      };                                                                        \
    else                                                                        \
      return requires { &T::member; };                                          \
  }
/// What fit() calls.
#define WEFT_HOOKS(X) X(on_train_begin) X(on_epoch_begin) X(on_step_end) X(on_epoch_end) X(on_train_end)
/// What other frameworks call theirs, and slips of the pen.
#define WEFT_NO_HOOKS(X)                                                                                              \
  X(on_batch_begin)                                                                                                   \
  X(on_batch_start) X(on_batch_end) X(on_train_batch_begin) X(on_train_batch_start) X(on_train_batch_end)             \
      X(on_step_begin) X(on_step_start) X(on_train_step_begin) X(on_train_step_end) X(on_train_epoch_start)           \
          X(on_train_epoch_end) X(on_epoch_start) X(on_train_start) X(on_training_begin) X(on_training_start)         \
              X(on_training_end) X(on_fit_begin) X(on_fit_start) X(on_fit_end) X(on_begin) X(on_end) X(on_step)       \
                  X(on_epoch) X(on_train) X(on_test_begin) X(on_test_end) X(on_validation_begin) X(on_validation_end) \
                      X(on_validation_start) X(on_train_begins) X(on_epoch_begins) X(on_step_ends) X(on_epoch_ends)   \
                          X(on_train_ends) X(on_steps_end) X(on_epochs_end) X(on_epochs_begin) X(on_end_step)         \
                              X(on_end_epoch) X(on_begin_epoch) X(on_end_train) X(on_begin_train) X(onStepEnd)        \
                                  X(onEpochEnd) X(onEpochBegin) X(onTrainBegin) X(onTrainEnd)
WEFT_HOOKS(WEFT_MEMBER)
WEFT_NO_HOOKS(WEFT_MEMBER)
#undef WEFT_MEMBER

/// Members that are hooks, members of a hook's name with another signature than void(FitRun&), and misspelt ones.
struct Count {
  int hooks = 0, wrong_signature = 0, misspelt = 0;
};
template <class T>
constexpr Count count() {
  Count n;
#define WEFT_COUNT(member)                               \
  if constexpr (requires(T & t, FitRun & r) {            \
                  { t.member(r) } -> std::same_as<void>; \
                })                                       \
    ++n.hooks;                                           \
  else if constexpr (has_##member<T>())                  \
    ++n.wrong_signature;
  WEFT_HOOKS(WEFT_COUNT)
#undef WEFT_COUNT
#define WEFT_COUNT(member) n.misspelt += has_##member<T>();
  WEFT_NO_HOOKS(WEFT_COUNT)
#undef WEFT_COUNT
  return n;
}
#undef WEFT_HOOKS
#undef WEFT_NO_HOOKS

template <class T>
constexpr void check() {
  static_assert(count<T>().wrong_signature == 0,
                "a callback's hook has the wrong signature: each is void(FitRun&), and can be called on a T&");
  static_assert(count<T>().misspelt == 0,
                "a callback has a member like a hook that fit() never calls: the hooks are on_train_begin, "
                "on_epoch_begin, on_step_end, on_epoch_end and on_train_end");
  static_assert(count<T>().hooks > 0 || count<T>().wrong_signature + count<T>().misspelt > 0,
                "a callback has no hook: it needs on_train_begin, on_epoch_begin, on_step_end, on_epoch_end or "
                "on_train_end, each void(FitRun&)");
}

}  // namespace hook_check
}  // namespace weft
