import HTDemucsKit
import SwiftUI
import UniformTypeIdentifiers

/// An app that separates songs into stems, as small as one that handles everything can be.
@main
struct StemSeparatorApp: App {
  var body: some Scene {
    WindowGroup { ContentView() }
  }
}

/// The app's one window.
struct ContentView: View {
  @State private var model = SeparationModel()
  @State private var isChoosingPackage = false
  @State private var isChoosingSong = false
  @Environment(\.scenePhase) private var scenePhase

  var body: some View {
    NavigationStack {
      Form {
        Section("Package") { packageRows }
        if model.packageName != nil { Section("Song") { songRows } }
        if !model.stems.isEmpty {
          Section("Stems") { ForEach(model.stems) { StemRow(stem: $0, model: model) } }
        }
        if !model.warnings.isEmpty {
          Section("Good to know") { ForEach(model.warnings, id: \.self) { Text($0) } }
        }
      }
      .formStyle(.grouped)
      .navigationTitle("Stem Separator")
    }
    .task { await model.reopenPackage() }
    .alert(isPresented: $model.isShowingFailure, error: model.failure) { _ in
      Button("OK") {}
    } message: { failure in
      Text(failure.recoverySuggestion ?? "")
    }
    #if os(iOS)
      .onChange(of: scenePhase) {
        if scenePhase == .background { model.stopForBackground() }
      }
    #endif
  }

  @ViewBuilder private var packageRows: some View {
    if model.isOpening {
      ProgressView("Checking and loading the package…")
    } else {
      if let name = model.packageName { Text(name) }
      Button("Choose a package…") { isChoosingPackage = true }
        .disabled(model.isSeparating)
        // An .mlpackage is a package where the system knows the type, and else a folder.
        .fileImporter(isPresented: $isChoosingPackage, allowedContentTypes: [.folder, .package]) { result in
          chosen(result) { package in Task { await model.open(package) } }
        }
    }
  }

  @ViewBuilder private var songRows: some View {
    if let name = model.songName { Text(name) }
    if model.isSeparating {
      ProgressView(value: model.progress?.fraction ?? 0) { Text(remaining) }
      Button("Cancel", role: .cancel) { model.cancel() }
    } else {
      Button("Choose a song…") { isChoosingSong = true }
        .disabled(model.isOpening)
        .fileImporter(isPresented: $isChoosingSong, allowedContentTypes: [.audio]) { result in
          chosen(result) { model.separate($0) }
        }
    }
  }

  private var remaining: String {
    guard let seconds = model.progress?.remainingSeconds else { return "Separating…" }
    let time = Duration.seconds(seconds).formatted(.units(allowed: [.hours, .minutes, .seconds], width: .wide))
    return "About \(time) left"
  }

  private func chosen(_ result: Result<URL, any Error>, then use: (URL) -> Void) {
    switch result {
    case .success(let url): use(url)
    case .failure(let error): model.show(error)
    }
  }
}

/// A stem to listen to, to share and to save.
private struct StemRow: View {
  let stem: SeparationModel.Stem
  let model: SeparationModel
  @State private var isSaving = false

  private var isPlaying: Bool { model.player.playing == stem.file }

  var body: some View {
    HStack {
      Button(isPlaying ? "Pause" : "Play", systemImage: isPlaying ? "pause.fill" : "play.fill") { model.toggle(stem) }
      Text(stem.type.rawValue.capitalized)
      Spacer()
      ShareLink(item: stem, preview: SharePreview(stem.type.rawValue))
      Button("Save", systemImage: "square.and.arrow.down") { isSaving = true }
    }
    .labelStyle(.iconOnly)
    .buttonStyle(.borderless)
    .fileExporter(
      isPresented: $isSaving, item: stem, contentTypes: [.wav], defaultFilename: stem.type.rawValue
    ) { result in
      if case .failure(let error) = result { model.show(error) }
    }
  }
}

extension SeparationModel.Stem: Transferable {
  static var transferRepresentation: some TransferRepresentation {
    FileRepresentation(exportedContentType: .wav) { stem in SentTransferredFile(stem.file) }
  }
}
