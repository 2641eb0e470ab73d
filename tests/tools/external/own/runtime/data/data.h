// A user's own header that is called as one of weft's.
#pragma once
struct MyData {
  int rows = 4;
};
