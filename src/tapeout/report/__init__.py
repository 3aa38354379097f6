"""What people look at. In: rows and plans; out: terminal tables, CSV, JSON, Parquet and one offline HTML page."""
