/// Spectra of a few neighbouring frames, one row each, between the transform, which wants a frame's bins side by side,
/// and a spectrogram's planes, which have a bin's frames side by side.
struct FrameBlock {
  /// Two cache lines of floats: larger blocks no longer fit the second-level cache of common processors.
  static let capacity = 32

  /// For `RealTransform`.
  let scratch: SplitBuffer
  private let rows: SplitStorage
  private let scratchStorage: SplitStorage
  private let halfSamples: Int
  /// More than a row is long: at a distance of a power of two, rows would evict each other from the cache.
  private let pitch: Int

  init(transform: RealTransform) {
    halfSamples = transform.samples / 2
    pitch = halfSamples + 16
    rows = SplitStorage(count: Self.capacity * pitch)
    scratchStorage = SplitStorage(count: halfSamples)
    scratch = scratchStorage.buffer
  }

  /// Memory of one frame, `[transformSamples / 2]` each part.
  func row(_ frame: Int) -> SplitBuffer { rows.buffer + frame * pitch }

  /// Copies rows into the planes of one signal, `[bins, frames]`, as frames from `first` on.
  func store(_ count: Int, into plane: SplitBuffer, bins: Int, frames: Int, first: Int) {
    for frame in 0..<count {
      let row = row(frame)
      if bins > halfSamples {
        plane.real[halfSamples * frames + first + frame] = row.imag[0]
        plane.imag[halfSamples * frames + first + frame] = 0
      }
      row.imag[0] = 0
    }
    for (from, to) in [(rows.buffer.real, plane.real), (rows.buffer.imag, plane.imag)] {
      transpose(
        from, pitch: pitch, rows: count, columns: halfSamples, into: to + first, pitch: frames)
    }
  }

  /// Copies frames from `first` on from one signal's planes, whose bins begin every `binStride` values, into rows.
  func load(_ count: Int, from plane: AudioFFT.Plane, bins: Int, binStride: Int, first: Int) {
    for (from, to) in [(plane.real, rows.buffer.real), (plane.imag, rows.buffer.imag)] {
      transpose(
        from + first, pitch: binStride, rows: halfSamples, columns: count, into: to, pitch: pitch)
    }
    for frame in 0..<count {
      row(frame).imag[0] = bins > halfSamples ? plane.real[halfSamples * binStride + first + frame] : 0
    }
  }
}

/// Copies a matrix of `rows` rows and `columns` columns into its transpose.
///
/// Rows of the source begin every `sourcePitch` elements, those of the target every `targetPitch`; both do not overlap.
private func transpose(
  _ source: UnsafePointer<Float>, pitch sourcePitch: Int, rows: Int, columns: Int,
  into target: UnsafeMutablePointer<Float>, pitch targetPitch: Int
) {
  let wholeRows = rows & ~3
  let wholeColumns = columns & ~3
  for row in stride(from: 0, to: wholeRows, by: 4) {
    for column in stride(from: 0, to: wholeColumns, by: 4) {
      let tile = source + row * sourcePitch + column
      let a = fourValues(at: tile)
      let b = fourValues(at: tile + sourcePitch)
      let c = fourValues(at: tile + 2 * sourcePitch)
      let d = fourValues(at: tile + 3 * sourcePitch)
      let turned = target + column * targetPitch + row
      store(SIMD4(a.x, b.x, c.x, d.x), at: turned)
      store(SIMD4(a.y, b.y, c.y, d.y), at: turned + targetPitch)
      store(SIMD4(a.z, b.z, c.z, d.z), at: turned + 2 * targetPitch)
      store(SIMD4(a.w, b.w, c.w, d.w), at: turned + 3 * targetPitch)
    }
    for column in wholeColumns..<columns {
      for row in row..<row + 4 { target[column * targetPitch + row] = source[row * sourcePitch + column] }
    }
  }
  for row in wholeRows..<rows {
    for column in 0..<columns { target[column * targetPitch + row] = source[row * sourcePitch + column] }
  }
}

private func fourValues(at place: UnsafePointer<Float>) -> SIMD4<Float> {
  UnsafeRawPointer(place).loadUnaligned(as: SIMD4<Float>.self)
}

private func store(_ values: SIMD4<Float>, at place: UnsafeMutablePointer<Float>) {
  UnsafeMutableRawPointer(place).storeBytes(of: values, as: SIMD4<Float>.self)
}
