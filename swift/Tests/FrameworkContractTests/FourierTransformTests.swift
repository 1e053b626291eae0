import Accelerate
import XCTest

/// What Apple documents of `vDSP_fft_zript`; on Linux it is the stand-in that has to comply.
///
/// Sources: developer.apple.com/documentation/accelerate, "In-Place Functions for 1D Real FFT", for packing; vDSP
/// Programming Guide, "Using Fourier Transforms", for scaling.
final class FourierTransformTests: XCTestCase {
  func testForwardIsTwiceTheTransformWithNyquistPackedBesideZero() {
    let bins = transformed(SplitVector(interleaved: [1, 2, 3, 4, 0, 0, 0, 1]), .forward)
    // 2 * numpy.fft.rfft([1, 2, 3, 4, 0, 0, 0, 1]), the real part of bin 4 in place of the imaginary part of bin 0
    let root = Float(2).squareRoot()
    assertEqual(bins.real, [22, 2 - root, -4, 2 + root])
    assertEqual(bins.imag, [-6, -6 - 5 * root, 6, 6 - 5 * root])
  }

  func testForwardAgreesWithTheDefinitionAtEveryLength() {
    for log2n in 1...11 {
      let values = noise(1 << log2n)
      let bins = transformed(SplitVector(interleaved: values), .forward)
      XCTAssertGreaterThanOrEqual(snrDB(bins, reference: definition(values)), 130, "2^\(log2n)")
    }
  }

  func testInverseIsTheSumOverAllBinsWithoutAFactor() {
    // 5 at 0 Hz, 7 at the Nyquist frequency, 1 + 3i in bin 1 and its conjugate in the mirror image.
    let samples = transformed(SplitVector(real: [5, 1, 0, 0], imag: [7, 3, 0, 0]), .inverse)
    let expected = (0..<8).map { n in
      let angle = Double(n) * Double.pi / 4
      return Float(5 + (n % 2 == 0 ? 7 : -7) + 2 * (cos(angle) - 3 * sin(angle)))
    }
    assertEqual(samples.interleaved, expected)
  }

  func testThereAndBackAgainMultipliesByTwiceTheLength() {
    for log2n in 1...13 {
      let values = noise(1 << log2n)
      let bins = transformed(SplitVector(interleaved: values), .forward)
      let scale = 1 / Float(2 << log2n)
      assertEqual(transformed(bins, .inverse).interleaved.map { $0 * scale }, values, accuracy: 1e-6)
    }
  }

  func testTablesServeShorterTransformsToo() {
    let bins = transformed(SplitVector(interleaved: noise(64)), .forward)
    assertEqual(
      transformed(bins, .inverse, setupLog2n: 12).interleaved, transformed(bins, .inverse).interleaved,
      accuracy: 1e-4)
  }

  #if os(Linux)
    func testTheStandInIsAccurateTo137Decibels() {
      let values = noise(4096)
      let bins = transformed(SplitVector(interleaved: values), .forward)
      XCTAssertGreaterThanOrEqual(snrDB(bins, reference: definition(values)), 137)
    }

    func testTheStandInHasNoTablesForWhatItLacks() {
      let radix3: FFTRadix = 1
      XCTAssertNil(vDSP_create_fftsetup(4, radix3))
      XCTAssertNil(vDSP_create_fftsetup(60, FFTRadix(kFFTRadix2)))
      vDSP_destroy_fftsetup(nil)
    }
  #endif
}

private enum Direction {
  case forward
  case inverse

  var flag: FFTDirection {
    switch self {
    case .forward: FFTDirection(kFFTDirection_Forward)
    case .inverse: FFTDirection(kFFTDirection_Inverse)
    }
  }
}

private func transformed(_ vector: SplitVector, _ direction: Direction, setupLog2n: Int? = nil) -> SplitVector {
  let log2n = (2 * vector.real.count).trailingZeroBitCount
  guard let setup = vDSP_create_fftsetup(vDSP_Length(setupLog2n ?? log2n), FFTRadix(kFFTRadix2)) else {
    XCTFail("no memory for tables")
    return vector
  }
  defer { vDSP_destroy_fftsetup(setup) }
  var result = vector
  // Whatever stands in the temporary buffer must not matter.
  var temporary = vector
  temporary.real = temporary.real.map { _ in .nan }
  temporary.imag = temporary.real
  result.withSplitComplex { values in
    temporary.withSplitComplex { buffer in
      vDSP_fft_zript(setup, &values, 1, &buffer, vDSP_Length(log2n), direction.flag)
    }
  }
  return result
}

/// Twice the discrete Fourier transform by its definition in Double, packed as vDSP packs it.
private func definition(_ values: [Float]) -> (real: [Double], imag: [Double]) {
  let n = values.count
  let turn = (0..<n).map { 2 * Double.pi * Double($0) / Double(n) }
  let (cosines, sines) = (turn.map { cos($0) }, turn.map { sin($0) })
  var real = [Double](repeating: 0, count: n / 2)
  var imag = real
  for bin in 0..<n / 2 {
    for (index, value) in values.enumerated() {
      real[bin] += 2 * Double(value) * cosines[bin * index % n]
      imag[bin] -= 2 * Double(value) * sines[bin * index % n]
    }
  }
  imag[0] = zip(values, 0...).reduce(0) { $0 + 2 * Double($1.0) * ($1.1 % 2 == 0 ? 1 : -1) }
  return (real, imag)
}

private func snrDB(_ bins: SplitVector, reference: (real: [Double], imag: [Double])) -> Double {
  let pairs = Array(zip(bins.real + bins.imag, reference.real + reference.imag))
  let noise = pairs.reduce(0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
  return 10 * log10(pairs.reduce(0) { $0 + $1.1 * $1.1 } / noise)
}
