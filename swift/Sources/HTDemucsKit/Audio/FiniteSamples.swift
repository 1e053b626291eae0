import Accelerate

/// Where the first NaN or infinity of a buffer is.
func firstNonFinite(in values: UnsafeBufferPointer<Float>) -> Int? {
  guard let start = values.baseAddress else { return nil }
  var sum: Float = 0
  vDSP_svemg(start, 1, &sum, vDSP_Length(values.count))
  // A sum of finite magnitudes may overflow, but a finite sum has only finite terms.
  return sum.isFinite ? nil : values.firstIndex { !$0.isFinite }
}
