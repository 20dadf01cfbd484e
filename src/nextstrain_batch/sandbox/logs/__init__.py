"""CloudWatch Logs' streams: what moto has of them is replaced, groups stay moto's.

store    streams in files: appended to, indexed, in the order of time
tokens   the tokens that calls hand out
pages    one page of a stream, or of many
patterns which events a filter pattern wants
calls    the API: GetLogEvents, FilterLogEvents, PutLogEvents, streams
"""
