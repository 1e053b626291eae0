import HTDemucsCommand

HTDemucsTool.main()
