import HTDemucsCommand

await HTDemucsTool.main()
