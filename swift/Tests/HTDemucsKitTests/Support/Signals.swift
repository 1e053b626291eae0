import Foundation
import HTDemucsKit

/// White noise in [-1, 1), the same every time: the splitmix64 hash (Vigna, 2015) of each position.
func noise(_ samples: Int, seed: UInt64 = 0) -> [Float] {
  (0..<samples).map { index in
    var state = (UInt64(index) &+ seed << 32 &+ 1) &* 0x9E37_79B9_7F4A_7C15
    state = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
    state = (state ^ state >> 27) &* 0x94D0_49BB_1331_11EB
    return Float((state ^ state >> 31) >> 40) / Float(1 << 23) - 1
  }
}

/// A cosine in the middle of a bin of a transform.
func cosine(bin: Int, transformSamples: Int, samples: Int, amplitude: Double = 1) -> [Float] {
  (0..<samples).map {
    Float(amplitude * cos(2 * Double.pi * Double(bin) * Double($0) / Double(transformSamples)))
  }
}

/// A tone that swells and fades, with nothing at the Nyquist frequency, not even at its ends.
func swellingTone(_ samples: Int) -> [Float] {
  (0..<samples).map {
    let envelope = 0.5 - 0.5 * cos(2 * Double.pi * Double($0) / Double(samples))
    return Float(envelope * sin(2 * Double.pi * 440 * Double($0) / 44_100))
  }
}

/// A short-time Fourier transform by its definition in Double, one bin of one frame at a time, written without a look
/// at `AudioFFT`.
struct DefinedSTFT {
  let waveform: [Float]
  let transformSamples: Int
  let framing: AudioFFT.Framing

  func value(bin: Int, frame: Int) -> (real: Double, imag: Double) {
    let hop = transformSamples / 4
    // Upstream's frames begin 1.5 hops before the hop that they belong to, torch's half a window before their centre.
    let start = frame * hop - (framing == .demucs ? 3 * hop / 2 : transformSamples / 2)
    var sum = (real: 0.0, imag: 0.0)
    for n in 0..<transformSamples {
      let angle = 2 * Double.pi * Double(n) / Double(transformSamples)
      let windowed = 0.5 * (1 - cos(angle)) * Double(mirrored(start + n))
      let phase = angle * Double(bin)
      sum.real += windowed * cos(phase)
      sum.imag -= windowed * sin(phase)
    }
    let scale = Double(transformSamples).squareRoot()
    return (sum.real / scale, sum.imag / scale)
  }

  private func mirrored(_ position: Int) -> Float {
    let last = waveform.count - 1
    return waveform[position < 0 ? -position : position > last ? last - (position - last) : position]
  }
}

/// Different noise in both channels.
func stereoNoise(_ samples: Int, seed: UInt64 = 0) throws -> Waveform {
  try Waveform(noise(samples, seed: seed) + noise(samples, seed: seed + 1), signals: 2)
}
