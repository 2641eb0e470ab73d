// A user's own header that is called as one of weft's.
#pragma once
struct MyGraph {
  int nodes = 3;
};
