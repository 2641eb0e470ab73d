// Whether a program runs on its whole team or on its caller's thread alone, found by timing.
//
// A team is as fast as its slowest thread. Where other threads of the machine want the same CPUs, that one waits for a
// time slice, at every barrier; alone the program takes its time and no more. So runs on the team are timed, and where
// they have become so slow that running alone may be faster, that is tried for a while, and the faster way kept. It is
// questioned again after a time that doubles whenever the answer stays the same.
#pragma once

namespace weft {

class Pace {
 public:
  /// `width`: how many of the team's threads can run at once.
  explicit Pace(int width) : width_(width), together_(width > 1) {}

  /// Always alone: there is nothing to record.
  bool is_fixed() const { return width_ < 2; }
  /// How the next run is done.
  bool together() const { return together_; }
  /// What the last run took, done in the way that together() said.
  void record(double seconds);

 private:
  void judge(double mean);

  // In seconds of runs. A window is longer than a time slice, so that its mean is not that of a lucky one.
  static constexpr double kWindow = 0.01, kShortest = 0.05, kLongest = 2;
  static constexpr double kCheap = 0.1;  // a first trial that takes less is made in any case

  int width_;
  bool together_, trial_ = false;
  double quickest_ = 0;          // run on the team; 0: none yet
  double other_ = 0;             // mean of a run in the other way, when it was last tried; 0: never
  double mean_ = 0;              // in a trial: of the way that it is compared with
  double patience_ = kShortest;  // for how long an answer is kept
  double left_ = 0;              // until there may be a trial
  double window_ = 0;            // so far
  int runs_ = 0;                 // of the window
};

}  // namespace weft
