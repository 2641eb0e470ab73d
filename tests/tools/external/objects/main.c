/* Trains the reference MLP on rows of its own, without a heap: malloc() ends the program. */
#include <stdio.h>
#include <stdlib.h>

#include "dense.h"
#include "digits.h"

static int counting;
void *malloc(size_t size) {
  static unsigned char heap[1 << 16]; /* stdio has a buffer */
  static size_t used;
  size_t at = used;
  if (counting || size > sizeof heap - used) abort();
  used += (size + 15) & ~(size_t)15;
  return heap + at;
}
void free(void *memory) { (void)memory; }

static digits_state state;
static digits_step_workspace workspace;
static digits_predict_workspace predict_workspace;

/* A "pool" that does the tasks backwards and counts them. */
static void backwards(void *pool, int32_t n, void (*task)(void *context, int32_t i), void *context) {
  while (n-- > 0) {
    ++*(int *)pool;
    task(context, n);
  }
}

int main(void) {
  static float image[16][784], logits[16][10];
  int32_t target[16];
  float loss, first = 0, rate = 0.002f;
  int step, i, k, tasks = 0, right = 0;
  const digits_step_inputs in = {image[0], target};
  const digits_step_outputs out = {&loss, 0};
  const digits_predict_inputs x = {image[0]};
  const digits_predict_outputs y = {logits[0]};
  static dense_state no_state;
  static dense_dense_4_workspace dense_workspace;
  const float points[12] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1};
  float probability[8];
  const dense_dense_4_inputs dense_in = {points};
  const dense_dense_4_outputs dense_out = {probability};

  for (i = 0; i < 16; ++i) {
    target[i] = i % 10;
    for (k = 0; k < 784; ++k) image[i][k] = k % 10 == target[i] || (i * 31 + k * 7) % 13 == 0;
  }
  counting = 1;
  if (digits_init(&state) || digits_write(&state, DIGITS_OPTIMIZER_LEARNING_RATE, &rate)) return 1;
  for (step = 0; step < 30; ++step) {
    if (digits_step(&state, &in, &out, &workspace, step % 2 ? backwards : 0, &tasks)) return 2;
    if (step == 0) first = loss;
  }
  if (digits_predict(&state, &x, &y, &predict_workspace, 0, 0)) return 3;
  for (i = 0; i < 16; ++i) {
    int best = 0;
    for (k = 0; k < 10; ++k)
      if (logits[i][k] > logits[i][best]) best = k;
    right += best == target[i];
  }
  if (dense_init(&no_state) || dense_dense_4(&no_state, &dense_in, &dense_out, &dense_workspace)) return 4;
  counting = 0;
  if (tasks == 0 || !(loss < 0.1f * first) || right != 16) return 5;
  if (probability[0] != probability[3] || probability[0] + probability[1] != 1) return 6;
  printf("loss fell, %d of 16 right\n", right);
  return 0;
}
