direction = 'client' AND method = 'tools/call'
