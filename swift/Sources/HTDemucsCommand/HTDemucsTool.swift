import Foundation
import HTDemucsKit

/// The command-line tool `htdemucs`: the kit's processor for people and programs at a terminal.
public enum HTDemucsTool {
  /// Runs the tool with the process's arguments and ends the process.
  ///
  /// Exit codes: 0 done, 1 failed on an input, 2 wrong usage, 128 + n ended by signal n, after everything partial was
  /// removed.
  public static func main() -> Never {
    // An asynchronous main function would come too late: what runs it opens files.
    StandardStreams.occupy()
    // A write to a closed pipe is then an error like any other, and what is partial is removed.
    signal(SIGPIPE, SIG_IGN)
    let termination = Termination()
    let watchers = termination.watchSignals()
    let work = Task.detached {
      await run(
        arguments: Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment,
        standardOutput: DescriptorOutput.standardOutput, standardError: DescriptorOutput.standardError,
        termination: termination)
    }
    termination.whenSignalled { work.cancel() }
    Task.detached { exit(await work.value) }
    withExtendedLifetime(watchers) { dispatchMain() }
  }

  /// Runs the tool.
  ///
  /// Cancelling the task ends it as a signal does.
  ///
  /// - Parameters:
  ///   - arguments: What follows the tool's name.
  ///   - environment: The process's variables.
  ///   - standardOutput: Takes results.
  ///   - standardError: Takes notes, warnings, errors and the progress bar.
  ///   - services: What the commands work with.
  ///   - termination: Knows the signal that ended the work.
  /// - Returns: The exit code.
  static func run(
    arguments: [String], environment: [String: String], standardOutput: any TextOutput, standardError: any TextOutput,
    services: Services = .standard, termination: Termination = Termination()
  ) async -> Int32 {
    let console = Console(environment: environment, output: standardOutput, errors: standardError)
    do {
      return try await run(arguments, console, services)
    } catch let error as UsageError {
      let help = [toolName, error.command, "--help"].compactMap(\.self).joined(separator: " ")
      console.error(error.message)
      console.tell("Try '\(help)'.")
      return ExitCode.usage
    } catch TextOutputError.closed {
      // Whoever read the output has seen enough.
      return ExitCode.failed
    } catch TextOutputError.failed(let reason) {
      console.error("standard output cannot be written: \(reason)")
      return ExitCode.failed
    } catch is CancellationError {
      let signal = termination.signal ?? .interrupt
      console.error("ended by \(signal.name); nothing partial was left behind")
      return signal.exitCode
    } catch {
      console.error(message(of: error))
      return ExitCode.failed
    }
  }

  private static let commands = [SeparateCommand.description, InfoCommand.description, BenchCommand.description]

  private static func run(_ arguments: [String], _ console: Console, _ services: Services) async throws -> Int32 {
    let help = HelpText(terminalColumns: console.output.columns)
    let toolHelp = help.text(forToolWith: commands, details: details, examples: examples)
    guard let name = arguments.first else {
      console.tell(toolHelp, terminator: "")
      return ExitCode.usage
    }
    switch name {
    case "-h", "--help":
      try console.print(toolHelp, terminator: "")
      return ExitCode.done
    case "--version":
      try console.print("\(toolName), version \(toolVersion)")
      return ExitCode.done
    default: break
    }
    guard let command = commands.first(where: { $0.name == name }) else {
      let kind = name.hasPrefix("-") ? "option" : "command"
      let known = kind == "option" ? ["--version", "--help"] : commands.map(\.name)
      throw UsageError(message: unknown(kind, name, among: known), command: nil)
    }
    let parsed = try ArgumentParser(command: command).parse(Array(arguments.dropFirst()))
    if parsed.wantsHelp {
      try console.print(help.text(for: command), terminator: "")
      return ExitCode.done
    }
    switch name {
    case InfoCommand.description.name: return try InfoCommand(parsed).run(console)
    case BenchCommand.description.name: return try await BenchCommand(parsed).run(console, services)
    default: return try await SeparateCommand(parsed).run(console, services)
    }
  }

  private static let details = [
    "Separate music into stems with HTDemucs, run by Core ML from a reproducible and verified package.",
    "Exit codes: 0 done, 1 failed on an input, 2 wrong usage, 130 interrupted, 143 terminated, 129 terminal closed.",
  ]

  private static let examples = [
    "separate song.mp3 -o stems --package htdemucs_6s.mixed.mlpackage",
    "info htdemucs_6s.mixed.mlpackage",
    "bench --pass-through --seconds 600",
  ]
}

/// What the tool is called.
let toolName = "htdemucs"
/// The Python package's version, too.
let toolVersion = "0.1.0"

/// How the tool ends.
enum ExitCode {
  static let done: Int32 = 0
  /// An input, a file or a package failed.
  static let failed: Int32 = 1
  /// Wrong usage.
  static let usage: Int32 = 2
}
